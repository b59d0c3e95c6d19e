"""Quantiles of many durations: bounded in size, and right to an eighth."""

import random

import pytest

from waterspout.limits import FIGURES_WINDOW
from waterspout.ops.quantiles import Durations

NOTHING = {"count": 0, "p50": None, "p90": None, "p99": None, "max": None}


def summarize(*durations, at=0.0):
    found = Durations()
    for seconds in durations:
        found.add(seconds, at)
    return found.summarize(at)


def test_of_none_there_is_nothing_to_tell():
    assert summarize() == NOTHING


@pytest.mark.parametrize("seconds", [1e-5, 0.0007, 0.02, 0.5, 1.0, 1.9, 59.0, 3600.0])
def test_one_is_told_to_an_eighth(seconds):
    summary = summarize(seconds)
    assert summary["max"] == seconds
    assert summary["count"] == 1
    for name in ("p50", "p90", "p99"):
        assert summary[name] == pytest.approx(seconds, rel=0.126)


@pytest.mark.parametrize("seed", range(5))
def test_quantiles_are_right_to_an_eighth(seed):
    lots = random.Random(seed)
    durations = sorted(lots.lognormvariate(-4, 2) for _ in range(5000))
    summary = summarize(*durations)
    assert summary["max"] == durations[-1]
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert summary[name] == pytest.approx(durations[int(share * 5000)], rel=0.15)


@pytest.mark.parametrize("seconds", [0.0, -0.001, 1e-12, 5e-324])
def test_what_is_too_short_to_tell_counts_as_short(seconds):
    assert summarize(seconds)["p50"] <= 1e-5


def test_what_is_too_long_counts_as_long():
    summary = summarize(1e9, 1e300)
    assert summary["p50"] >= 4096
    assert summary["max"] == 1e300


def test_no_quantile_is_above_the_largest():
    assert summarize(*[1.01] * 10)["p99"] <= 1.01


def test_what_is_told_is_recent():
    found = Durations()
    found.add(5.0, 100.0)
    now = 100.0 + FIGURES_WINDOW
    found.add(0.1, now)
    assert found.summarize(now)["max"] == 5.0
    assert found.summarize(now + FIGURES_WINDOW - 1)["max"] == 5.0
    assert found.summarize(now + FIGURES_WINDOW)["max"] == 0.1
    assert found.summarize(now + 2 * FIGURES_WINDOW) == NOTHING | {"count": 2}


def test_after_a_quiet_while_what_was_before_is_forgotten():
    found = Durations()
    found.add(5.0, 100.0)
    found.add(0.1, 100.0 + 2 * FIGURES_WINDOW)
    assert found.summarize(100.0 + 2 * FIGURES_WINDOW)["max"] == 0.1


def test_its_size_is_bounded():
    found = Durations()
    for number in range(10_000):
        found.add(1.5 ** (number % 300) * 1e-40, 0.0)
    assert len(found._now) + len(found._before) < 250
