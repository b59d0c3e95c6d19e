"""What slow clients leave with us: the same bytes out, in order, within bounds, and nothing left behind."""

import asyncio
import errno
import os
import random
import tempfile
import threading

import pytest

from tests.server import poll
from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import SPOOL_AHEAD, SPOOL_BLOCK, SPOOL_KEPT
from waterspout.wsgi.exchange import disk
from waterspout.wsgi.exchange.spool import Spool, SpoolSpace

pytestmark = pytest.mark.gen_test(timeout=20)

MIB = 1 << 20
#: Blocks in memory, those on their way to the disk, the one that is not full, and the one read ahead.
MOST_IN_MEMORY = (SPOOL_KEPT + 2 * SPOOL_AHEAD + 3) * SPOOL_BLOCK


class Taker:
    """A spool and its user."""

    def __init__(self, space, limit=64 * MIB):
        self.changed = asyncio.Event()
        self.spool = Spool(space, limit, self.changed.set)

    async def put(self, data, piece=SPOOL_BLOCK):
        """Put all of it, when there is room for it."""
        for start in range(0, len(data), piece):
            while self.spool.is_full:
                await self.change()
            self.spool.put(data[start : start + piece])

    async def get(self, size):
        found = b""
        while len(found) < size:
            piece = self.spool.get()
            found += piece
            if not piece:
                await self.change()
        return found

    async def change(self):
        self.changed.clear()
        await asyncio.wait_for(self.changed.wait(), 5)


def temporary_files():
    """Open files without a name; pytest has some itself."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(tempfile.gettempdir()) and path.endswith("(deleted)")]


def disk_threads():
    return [thread for thread in threading.enumerate() if thread.name == "waterspout-spool"]


@pytest.fixture(autouse=True)
def nothing_is_left():
    """Neither a descriptor nor a thread."""
    before = len(temporary_files())
    yield
    assert poll(lambda: not disk_threads() and len(temporary_files()) == before)


@pytest.fixture
def space():
    return SpoolSpace(64 * MIB)


@pytest.mark.parametrize("size", [0, 1, SPOOL_BLOCK - 1, SPOOL_BLOCK, 2 * SPOOL_BLOCK, 3_000_001])
@pytest.mark.parametrize("piece", [1000, SPOOL_BLOCK, 200_000])
async def test_what_is_put_is_got_in_order(space, size, piece):
    data = random.Random(size).randbytes(size)
    taker = Taker(space)
    await taker.put(data, piece)
    assert taker.spool.size == size
    assert await taker.get(size) == data
    assert taker.spool.size == 0
    assert taker.spool.get() == b""
    assert space.used == 0


async def test_both_at_once_at_varied_paces(space):
    data = random.Random(1).randbytes(8 * MIB)
    taker, dice = Taker(space), random.Random(2)

    async def put():
        for start in range(0, len(data), 70_000):
            await taker.put(data[start : start + 70_000])
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.01)

    putting = asyncio.ensure_future(put())
    found = b""
    while len(found) < len(data):
        found += taker.spool.get()
        await asyncio.sleep(dice.random() * 0.002)
    await putting
    assert found == data
    assert space.used == 0


async def test_little_needs_no_disk(space):
    taker = Taker(space)
    await taker.put(bytes(SPOOL_KEPT * SPOOL_BLOCK))
    assert not taker.spool.takes_space
    assert (space.used, disk_threads()) == (0, [])
    taker.spool.close()


async def test_most_of_much_is_on_disk_and_has_no_name(space):
    taker, before = Taker(space), len(temporary_files())
    await taker.put(bytes(4 * MIB))
    await wait_for(lambda: taker.spool._in_memory <= SPOOL_KEPT * SPOOL_BLOCK)
    assert taker.spool.takes_space
    assert 3 * MIB < space.used <= 4 * MIB
    assert len(temporary_files()) == before + 1
    taker.spool.close()
    assert space.used == 0


async def test_memory_is_bounded_though_the_disk_stands_still(space, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(disk, "_write", lambda pieces, descriptor: gate.wait(5) and None)
    taker = Taker(space)
    put = 0
    while not taker.spool.is_full:
        taker.spool.put(bytes(SPOOL_BLOCK))
        put += SPOOL_BLOCK
    assert put <= MOST_IN_MEMORY
    gate.set()
    await taker.change()
    assert not taker.spool.is_full
    taker.spool.close()
    await wait_for(lambda: space.used == 0)


async def test_it_is_full_at_its_limit(space):
    taker = Taker(space, MIB)
    await taker.put(bytes(MIB))
    assert taker.spool.is_full
    await taker.get(SPOOL_BLOCK)
    assert not taker.spool.is_full
    taker.spool.close()
    await wait_for(lambda: space.used == 0)


async def test_all_together_never_take_more_than_the_space():
    space = SpoolSpace(2 * MIB)
    takers = [Taker(space) for _ in range(4)]
    for taker in takers:
        while not taker.spool.is_full:
            taker.spool.put(bytes(SPOOL_BLOCK))
            await asyncio.sleep(0)
            assert space.used <= 2 * MIB
        for _ in range(3):
            await asyncio.sleep(0.01)
            while not taker.spool.is_full:
                taker.spool.put(bytes(SPOOL_BLOCK))
    assert space.is_exhausted
    assert takers[-1].spool.wants_space
    assert takers[-1].spool.size <= MOST_IN_MEMORY
    takers[0].spool.close()
    await wait_for(lambda: not space.is_exhausted)
    takers[-1].spool.settle()
    assert not takers[-1].spool.wants_space
    for taker in takers:
        taker.spool.close()
    await wait_for(lambda: space.used == 0)


async def test_without_space_a_little_is_held_in_memory():
    taker = Taker(SpoolSpace(0))
    put = 0
    while not taker.spool.is_full:
        taker.spool.put(b"x" * SPOOL_BLOCK)
        put += SPOOL_BLOCK
    assert put == (SPOOL_KEPT + 1) * SPOOL_BLOCK
    assert await taker.get(put) == b"x" * put


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "?")])
async def test_a_disk_that_takes_nothing_loses_nothing(space, monkeypatch, error):
    def fail(pieces, descriptor):
        raise error

    monkeypatch.setattr(disk, "_write", fail)
    data = random.Random(3).randbytes(6 * SPOOL_BLOCK)
    taker = Taker(space)
    taker.spool.put(data)
    await taker.change()
    assert taker.spool.failed is error
    assert taker.spool.is_full
    assert space.used == 0
    assert await taker.get(len(data)) == data
    assert taker.spool.is_full is False
    taker.spool.close()


async def test_no_temporary_folder_is_a_failure_like_any_other(space, monkeypatch):
    def fail(**_):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    taker = Taker(space)
    taker.spool.put(bytes(6 * SPOOL_BLOCK))
    await taker.change()
    assert isinstance(taker.spool.failed, FileNotFoundError)
    taker.spool.close()


async def test_a_disk_that_gives_nothing_back_breaks_it(space, monkeypatch):
    taker = Taker(space)
    await taker.put(bytes(8 * SPOOL_BLOCK))
    await wait_for(lambda: not taker.spool._writing)
    monkeypatch.setattr(os, "pread", lambda *_: b"short")
    for _ in range(8):
        taker.spool.get()
    await wait_for(lambda: taker.spool.broken)
    taker.spool.close()
    await wait_for(lambda: space.used == 0)


@pytest.mark.parametrize("turns", range(4))
async def test_it_may_be_closed_at_any_moment(space, turns):
    taker = Taker(space)
    await taker.put(bytes(MIB))
    for _ in range(turns):
        taker.spool.get()
        await asyncio.sleep(0.001 * turns)
    taker.spool.close()
    taker.changed.clear()
    await wait_for(lambda: space.used == 0)
    assert not taker.changed.is_set()


async def test_a_place_is_used_again(space):
    for _ in range(3):
        taker = Taker(space)
        await taker.put(bytes(MIB))
        assert await taker.get(MIB) == bytes(MIB)
    assert space._fresh == 0


async def test_a_place_has_one_owner_at_a_time(space):
    """Else one client's body would be overwritten by another's."""
    for count in (3, 5, 4):
        places = [space.take() for _ in range(count)]
        assert len(set(places)) == count
        for place in places:
            space.give_back(place)
    assert space.used == 0
