import asyncio
import contextlib

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
    monkeypatch.setattr(cache_module, "MAKING_JOINED", 0.2)
    cache = Cache(60, 10)
    end = asyncio.Event()
    stuck = asyncio.create_task(cache.get("a", end.wait))
    await asyncio.sleep(0.05)
    joined = asyncio.create_task(cache.get("a", source))
    await asyncio.sleep(0.3)
    assert [await cache.get("a", source) for _ in range(2)] == [1, 1]
    assert not stuck.done()
    end.set()
    assert await asyncio.gather(stuck, joined) == [True, True]
    assert await cache.get("a", source) == 1
