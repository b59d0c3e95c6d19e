"""One temporary file and the thread that works on it."""

import asyncio
import errno
import os
import queue
import tempfile
import threading

import pytest

from waterspout.wsgi.exchange.disk import Disk

pytestmark = pytest.mark.gen_test(timeout=20)


async def next_of(outcomes):
    return await asyncio.wait_for(outcomes.get(), 5)


async def test_what_was_written_is_read():
    outcomes, disk = asyncio.Queue(), Disk()
    disk.write([(10, b"one"), (0, b"two")], outcomes.put_nowait)
    disk.read(10, 3, outcomes.put_nowait)
    disk.read(0, 3, outcomes.put_nowait)
    assert [await next_of(outcomes) for _ in range(3)] == [None, b"one", b"two"]
    disk.close()


async def test_a_queue_that_is_put_in_the_place_of_python_s_is_not_used(monkeypatch):
    """gevent's is for one thread alone."""
    monkeypatch.setattr(queue, "SimpleQueue", None)
    outcomes, disk = asyncio.Queue(), Disk()
    disk.write([(0, b"one")], outcomes.put_nowait)
    disk.read(0, 3, outcomes.put_nowait)
    assert [await next_of(outcomes) for _ in range(2)] == [None, b"one"]
    disk.close()


async def test_a_short_write_is_gone_on_with(monkeypatch):
    pwrite = os.pwrite
    monkeypatch.setattr(
        os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, bytes(data)[:2], offset)
    )
    outcomes, disk = asyncio.Queue(), Disk()
    disk.write([(0, b"abcde")], outcomes.put_nowait)
    disk.read(0, 5, outcomes.put_nowait)
    assert [await next_of(outcomes) for _ in range(2)] == [None, b"abcde"]
    disk.close()


async def test_what_is_not_there_can_t_be_read():
    outcomes, disk = asyncio.Queue(), Disk()
    disk.read(0, 5, outcomes.put_nowait)
    assert isinstance(await next_of(outcomes), OSError)
    disk.close()


async def test_what_fails_names_the_folder_that_it_is_in(monkeypatch, tmp_path):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    outcomes, disk = asyncio.Queue(), Disk()
    disk.write([(0, b"x")], outcomes.put_nowait)
    said = f"[Errno {errno.ENOSPC}] No space left on device: {str(tmp_path)!r}"
    assert str(await next_of(outcomes)) == said
    disk.close()


async def test_what_was_asked_for_is_done_before_the_end():
    outcomes, disk = asyncio.Queue(), Disk()
    disk.write([(0, b"x")], outcomes.put_nowait)
    disk.close()
    assert await next_of(outcomes) is None


async def test_without_a_thread_it_is_a_disk_that_fails(monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    disk, outcomes = Disk(), []
    disk.write([(0, b"a")], outcomes.append)
    disk.read(0, 1, outcomes.append)
    assert outcomes == []
    await asyncio.sleep(0.01)
    assert [str(outcome) for outcome in outcomes] == ["[Errno 11] can't start new thread"] * 2
    disk.close()
