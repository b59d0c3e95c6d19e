import asyncio
import contextlib
import gc
import weakref

import pytest

from waterspout.native import Cache
from waterspout.native import cache as cache_module


class Source:
    """Makes values, and counts them."""

    def __init__(self):
        self.made = 0
        self.fails = False

    async def __call__(self):
        self.made += 1
        await asyncio.sleep(0.01)
        if self.fails:
            raise OSError("disk")
        return self.made


@pytest.fixture
def source():
    return Source()


@pytest.mark.gen_test
async def test_who_asks_at_the_same_time_shares_one_making(source):
    cache = Cache(0, 10)
    assert await asyncio.gather(*(cache.get("a", source) for _ in range(100))) == [1] * 100
    assert source.made == 1


@pytest.mark.gen_test
async def test_a_value_is_kept_for_its_lifetime(source):
    cache = Cache(1, 10)
    assert [await cache.get("a", source) for _ in range(3)] == [1, 1, 1]
    await asyncio.sleep(1)
    assert await cache.get("a", source) == 2


@pytest.mark.gen_test
async def test_keys_have_values_of_their_own(source):
    cache = Cache(60, 10)
    assert [await cache.get(key, source) for key in "aba"] == [1, 2, 1]


@pytest.mark.gen_test
async def test_an_exception_is_told_to_all_who_wait_and_not_kept(source):
    cache = Cache(60, 10)
    source.fails = True
    told = await asyncio.gather(*(cache.get("a", source) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in told] == ["disk"] * 3
    assert source.made == 1
    source.fails = False
    assert await cache.get("a", source) == 2


@pytest.mark.gen_test
async def test_who_leaves_takes_nothing_from_the_others(source):
    cache = Cache(60, 10)
    first, second = (asyncio.create_task(cache.get("a", source)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == 1


@pytest.mark.gen_test
async def test_only_so_many_are_kept(source):
    cache = Cache(60, 2)
    for key in "abc":
        await cache.get(key, source)
    assert len(cache) == 2
    assert [await cache.get(key, source) for key in "cba"] == [3, 2, 4]


@pytest.mark.gen_test
async def test_what_is_cancelled_below_is_an_error_and_not_kept():
    cache = Cache(60, 10)
    made = 0

    async def make():
        nonlocal made
        made += 1
        if made == 1:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return made

    with pytest.raises(RuntimeError, match="cancelled"):
        await cache.get("a", make)
    assert await cache.get("a", make) == 2


@pytest.mark.gen_test
async def test_who_is_cancelled_leaves_the_making_to_the_others(source):
    cache = Cache(60, 10)
    first = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)
    first.cancel()
    assert await cache.get("a", source) == 1
    assert first.cancelled()


@pytest.mark.gen_test
async def test_what_failed_for_nobody_is_told_to_nobody(source):
    """All callers that waited had gone before it failed."""
    cache = Cache(60, 10)
    source.fails = True
    first = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.05)
    source.fails = False
    assert await cache.get("a", source) == 2


def test_what_was_left_behind_on_a_closed_event_loop_is_made_anew():
    cache = Cache(60, 10)

    async def leave():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(cache.get("a", asyncio.Event().wait), 0.01)

    left = asyncio.new_event_loop()
    left.run_until_complete(leave())
    left.close()

    async def ask():
        async with asyncio.timeout(5):
            return await cache.get("a", Source())

    assert asyncio.run(ask()) == 1


@pytest.mark.gen_test
async def test_what_is_never_made_keeps_nobody_from_a_value_for_ever(source, monkeypatch):
    cache = Cache(60, 10)
    end = asyncio.Event()
    stuck = asyncio.create_task(cache.get("a", end.wait))
    await asyncio.sleep(0)
    joined = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0)
    monkeypatch.setattr(cache_module, "MAKING_JOINED", 0)
    assert [await cache.get("a", source) for _ in range(2)] == [1, 1]
    assert not stuck.done()
    end.set()
    assert await asyncio.gather(stuck, joined) == [True, True]
    assert await cache.get("a", source) == 1


@pytest.mark.gen_test
async def test_a_value_that_is_slow_to_make_is_kept_though_another_is_in_the_making(source, monkeypatch):
    """Otherwise everybody would wait for the next one, for ever, and it would be made all the time."""
    monkeypatch.setattr(cache_module, "MAKING_JOINED", 0)
    cache = Cache(60, 10)
    first, second = asyncio.Event(), asyncio.Event()
    early = asyncio.create_task(cache.get("a", lambda: give("early", first)))
    await asyncio.sleep(0)
    late = asyncio.create_task(cache.get("a", lambda: give("late", second)))
    await asyncio.sleep(0)
    first.set()
    assert await early == await cache.get("a", source) == "early"
    second.set()
    assert await late == await cache.get("a", source) == "late"
    assert source.made == 0


@pytest.mark.gen_test
async def test_a_value_does_not_take_the_place_of_one_whose_making_began_later(source, monkeypatch):
    monkeypatch.setattr(cache_module, "MAKING_JOINED", 0)
    cache = Cache(60, 10)
    first = asyncio.Event()
    early = asyncio.create_task(cache.get("a", lambda: give("early", first)))
    await asyncio.sleep(0)
    assert await cache.get("a", source) == 1
    first.set()
    assert await early == "early"
    assert await cache.get("a", source) == 1


@pytest.mark.gen_test
async def test_of_values_that_are_slow_to_make_old_ones_are_not_kept(monkeypatch):
    monkeypatch.setattr(cache_module, "MAKING_JOINED", 0)
    cache = Cache(0, 10)
    ends = [asyncio.Event() for _ in range(10)]
    asked, values = [], []
    for number, end in enumerate(ends):
        asked.append(asyncio.create_task(cache.get("a", lambda end=end: give(Value(), end))))
        await asyncio.sleep(0)
        if number:
            ends[number - 1].set()
            values.append(weakref.ref(await asked[number - 1]))
            asked[number - 1] = None
    gc.collect()
    assert sum(value() is not None for value in values) <= 1
    ends[-1].set()
    await asked[-1]


class Value:
    """Something that one can refer to weakly."""


async def give(value, when):
    await when.wait()
    return value
