"""How late the event loop is."""

import asyncio
import time

import pytest

from waterspout.ops import lag
from waterspout.ops.lag import LoopLag

pytestmark = pytest.mark.gen_test(timeout=20)


@pytest.fixture
def loop_lag(monkeypatch, io_loop):
    monkeypatch.setattr(lag, "LAG_INTERVAL", 0.02)
    found = LoopLag()
    yield found
    found.stop()


async def wait_for_samples(loop_lag, count):
    while loop_lag.tell()["samples"] < count:
        await asyncio.sleep(0.01)


async def test_nothing_runs_until_somebody_wants_it(loop_lag):
    await asyncio.sleep(0.05)
    assert not loop_lag.sampling
    assert loop_lag.tell() == {"samples": 0, "last": None, "p99": None, "max": None}
    assert loop_lag.sampling


async def test_a_blocked_loop_is_seen(loop_lag):
    loop_lag.keep()
    await wait_for_samples(loop_lag, 3)
    time.sleep(0.3)  # what no handler should do
    before = loop_lag.tell()["samples"]
    await wait_for_samples(loop_lag, before + 1)
    told = loop_lag.tell()
    assert 0.25 <= told["max"] < 5
    assert told["p99"] == told["max"] >= told["last"] >= 0


async def test_it_ends_when_nobody_has_asked_for_a_while(loop_lag, monkeypatch):
    monkeypatch.setattr(lag, "LAG_WANTED", 0.1)
    loop_lag.tell()
    while loop_lag.sampling:
        await asyncio.sleep(0.01)
    assert loop_lag.tell()["samples"] == 0


async def test_who_keeps_it_has_it_for_ever(loop_lag, monkeypatch):
    monkeypatch.setattr(lag, "LAG_WANTED", 0.0)
    loop_lag.keep()
    await wait_for_samples(loop_lag, 5)
    assert loop_lag.sampling
    loop_lag.stop()
    loop_lag.stop()
    assert not loop_lag.sampling
    loop_lag.tell()  # who asks later does not keep it
    while loop_lag.sampling:
        await asyncio.sleep(0.01)


async def test_a_minute_is_remembered_and_no_more():
    assert LoopLag()._samples.maxlen == 240
