"""Which client is slow: one that takes longer for a stretch than it may."""

import pytest

from waterspout.limits import STRETCH, STRETCH_TIME
from waterspout.wsgi.exchange.pace import Pace


@pytest.mark.parametrize(
    ("seconds", "brisk"), [(0.1, True), (STRETCH_TIME, True), (STRETCH_TIME + 0.1, False)]
)
def test_a_stretch_in_time_is_brisk(seconds, brisk):
    pace = Pace(100.0)
    assert not pace.is_brisk
    pace.observe(100.0 + seconds, STRETCH)
    assert pace.is_brisk is brisk
    assert pace.waited(100.0 + seconds) == 0


def test_less_than_a_stretch_is_waited_for():
    pace = Pace(100.0, 5)
    for second in range(1, 4):
        pace.observe(100.0 + second, 5 + second)
    assert pace.waited(103.0) == 3
    assert pace.is_late(103.0)
    assert pace.paused(103.5) == 0.5
    assert not pace.is_brisk


def test_who_slows_down_is_brisk_no_more():
    pace = Pace(100.0)
    pace.observe(100.1, STRETCH)
    pace.observe(110.0, 2 * STRETCH)
    assert not pace.is_brisk
    pace.observe(111.0, 4 * STRETCH)
    assert pace.is_brisk


def test_who_is_not_waited_for_is_not_late():
    pace = Pace(100.0)
    pace.excuse(109.0)
    assert not pace.is_late(110.0)
    assert pace.is_late(112.0)
