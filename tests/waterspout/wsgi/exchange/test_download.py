"""A reply between a lane and a client that takes it when it likes."""

import errno
import random

import pytest

from tests.waterspout.wsgi.jobs import wait_for
from waterspout.limits import SPOOL_BLOCK
from waterspout.wsgi.exchange import disk
from waterspout.wsgi.exchange.download import Download
from waterspout.wsgi.exchange.spool import SpoolSpace
from waterspout.wsgi.frames import WHOLE

pytestmark = pytest.mark.gen_test(timeout=20)


class FakeReply:
    """Takes one piece, and the next when it is told to. `written`: all that it has."""

    def __init__(self):
        self.written = b""
        self.has_room = False
        self._callback = None

    def when_flushed(self, callback):
        if self.has_room:
            return True
        assert self._callback is None, "who waits already waits twice"
        self._callback = callback
        return False

    def write(self, data):
        self.written += data
        self.has_room = False

    def flush(self):
        self.has_room = True
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class House:
    """`drained`, `room`: how often that was reported; `failures`: those of the disk that were reported."""

    def __init__(self, limit=64 * SPOOL_BLOCK):
        self.reply = FakeReply()
        self.drained = self.room = 0
        self.space = SpoolSpace(64 * SPOOL_BLOCK)
        self.failures = []
        self.download = Download(
            self.reply, self.space, limit, self.on_drained, self.on_room, self.failures.append
        )

    def on_drained(self):
        self.drained += 1

    def on_room(self):
        self.room += 1


@pytest.fixture
def house():
    return House()


async def test_nothing_is_written_before_there_is_room(house):
    house.download.put(b"early")
    assert house.reply.written == b""
    house.reply.has_room = True
    house.download.room()
    assert (house.reply.written, house.drained) == (b"early", 0)
    house.reply.flush()
    assert house.drained == 1


@pytest.mark.parametrize("size", [10, 5 * SPOOL_BLOCK, 40 * SPOOL_BLOCK + 17])
async def test_all_is_written_in_order_as_the_client_takes_it(house, size):
    data = random.Random(size).randbytes(size)
    for start in range(0, size, 50_000):
        house.download.put(data[start : start + 50_000])
    house.download.end = WHOLE
    house.download.room()

    def take():
        house.reply.flush()
        return house.drained

    await wait_for(take)
    assert house.reply.written == data
    assert house.space.used == 0


async def test_the_end_need_not_wait_for_room(house):
    house.reply.has_room = True
    house.download.end = WHOLE
    house.download.room()
    house.download.put(b"last")
    assert (house.reply.written, house.drained) == (b"last", 2)


async def test_room_in_the_spool_is_told():
    house = House(limit=2 * SPOOL_BLOCK)
    house.download.put(bytes(2 * SPOOL_BLOCK))
    assert house.download.spool.is_full
    before = house.room
    house.reply.has_room = True
    house.download.room()
    assert house.room > before
    house.download.close()


async def test_a_disk_that_fails_is_told_once_and_nothing_is_lost(house, monkeypatch):
    def fail(pieces, descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk, "_write", fail)
    data = random.Random(1).randbytes(10 * SPOOL_BLOCK)
    house.download.put(data)
    await wait_for(lambda: house.failures)
    house.download.end = WHOLE
    house.download.room()

    def take():
        house.reply.flush()
        return house.drained

    await wait_for(take)
    assert house.reply.written == data
    assert [error.errno for error in house.failures] == [errno.ENOSPC]
    house.download.close()


async def test_once_closed_nothing_is_written_or_told(house):
    house.download.put(bytes(10 * SPOOL_BLOCK))
    house.download.close()
    house.room = 0
    house.reply.has_room = True
    house.download.room()
    assert (house.reply.written, house.drained, house.room) == (b"", 0, 0)
    await wait_for(lambda: house.space.used == 0)


async def test_once_closed_it_waits_for_the_client_no_more(house):
    house.download.end = WHOLE
    house.download.put(b"")
    assert house.drained == 1
    house.download.close()
    house.download.room()  # and the next reply of the connection has filled it again
    assert house.reply._callback is None
