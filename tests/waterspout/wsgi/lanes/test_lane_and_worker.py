"""Both ends of a lane in one process, joined by a real socket pair."""

import asyncio
import errno
import os
import socket
import threading
import time

import pytest

from tests.waterspout.wsgi.jobs import Job, wait_for
from tests.waterspout.wsgi.worker.test_worker import Watched, answering
from waterspout.limits import READ_WINDOW
from waterspout.wsgi.lanes.lane import Lane
from waterspout.wsgi.worker.worker import LaneWorker

pytestmark = pytest.mark.gen_test(timeout=20)


class Joined:
    """A lane with a worker. `start` runs a job on it when it is free."""

    def __init__(self, app):
        self.free = asyncio.Event()
        self.lane = Lane(lambda lane: self.free.set(), lambda lane: None)
        self._app = app

    async def open(self):
        near_end, far_end = socket.socketpair()
        near_end.setblocking(False)
        await asyncio.get_running_loop().create_unix_connection(lambda: self.lane, sock=near_end)
        worker = LaneWorker(far_end, self._app, multithread=False, multiprocess=False)
        self.thread = threading.Thread(target=worker.run, daemon=True)
        self.thread.start()
        self.free.set()

    async def close(self):
        self.lane.close()
        await wait_for(lambda: not self.thread.is_alive())

    async def start(self, *arguments, **options):
        await asyncio.wait_for(self.free.wait(), 10)
        self.free.clear()
        job = Job(*arguments, **options)
        job.start(self.lane)
        return job

    async def ask(self, *arguments, **options):
        return await (await self.start(*arguments, **options)).answer()


@pytest.fixture
def join(io_loop):
    """Join a lane to a worker that runs this app."""
    opened = []

    async def join(app):
        opened.append(Joined(app))
        await opened[-1].open()
        return opened[-1]

    yield join
    for joined in opened:
        io_loop.run_sync(joined.close)


def echo(environ, start_response):
    return answering([environ["wsgi.input"].read()])(environ, start_response)


def deaf(environ, start_response):
    return answering([b"not interested"])(environ, start_response)


async def test_two_requests_in_a_row(join):
    joined = await join(echo)
    assert await joined.ask("/", b"one") == b"one"
    assert await joined.ask("/", b"two") == b"two"


async def test_many_requests_in_a_row(join):
    joined = await join(echo)
    for number in range(300):
        assert await joined.ask("/", b"%d" % number) == b"%d" % number


async def test_a_body_on_demand_comes_through(join):
    joined = await join(echo)
    job = await joined.start("/", None)
    await wait_for(lambda: job.credit)
    assert job.credit <= READ_WINDOW
    job.send_body(b"x" * 1000)
    job.send_body(b"y", last=True)
    assert await job.answer() == b"x" * 1000 + b"y"


@pytest.mark.parametrize("body", [b"left unread", None])
async def test_an_unread_body_never_reaches_the_next_request(join, body):
    joined = await join(
        lambda *arguments: (deaf if arguments[0]["PATH_INFO"] == "/deaf" else echo)(*arguments)
    )
    for number in range(5):
        assert await joined.ask("/deaf", body) == b"not interested"
        assert await joined.ask("/", b"%d" % number) == b"%d" % number


async def test_a_cancel_in_the_middle_of_a_stream_closes_it_once_in_the_worker_s_thread(join):
    streams = []

    def app(environ, start_response):
        streams.append(Watched(iter(lambda: time.sleep(0.001) or b"tick", None)))
        return answering(streams[-1])(environ, start_response)

    joined = await join(app)
    for number in range(3):
        job = await joined.start()
        await wait_for(lambda job=job: len(job.body) > 40)
        joined.lane.cancel(job)
        seen = job.body
        await asyncio.wait_for(joined.free.wait(), 10)
        assert job.body == seen
        assert streams[number].closed == 1
        assert set(streams[number].threads) == {joined.thread.ident}


async def test_a_slow_client_makes_the_worker_wait(join):
    """The kernel's buffers take a few hundred KiB; the app would make a gigabyte."""
    made = []

    def app(environ, start_response):
        def chunks():
            for _ in range(16_000):
                made.append(65536)
                yield bytes(65536)

        return answering(chunks())(environ, start_response)

    joined = await join(app)
    job = await joined.start(slow=True)
    await wait_for(lambda: job.head)
    before = -1
    while before != sum(made):
        before = sum(made)
        await asyncio.sleep(0.1)
    assert sum(made) < 16 * 1024 * 1024
    joined.lane.cancel(job)
    await asyncio.wait_for(joined.free.wait(), 10)


async def test_a_lane_that_closes_under_a_request_is_lost_to_it(join):
    joined = await join(
        lambda *arguments: answering(iter(lambda: time.sleep(0.001) or b"x", None))(*arguments)
    )
    job = await joined.start()
    await wait_for(lambda: job.body)
    joined.lane.close()
    assert await job.end() == "lost"
    await wait_for(lambda: not joined.thread.is_alive())


class Strained(socket.socket):
    """It sends half of what it is first given, and no more."""

    sends = 0

    def send(self, data):
        self.sends += 1
        if self.sends > 1:
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))
        return super().send(data[: len(data) // 2])

    def sendmsg(self, buffers, *arguments):
        return self.send(b"".join(buffers))  # asyncio's way from Python 3.12 on


async def test_a_request_that_could_not_be_sent_whole_is_lost_and_never_run(join, monkeypatch):
    ran = []

    def app(environ, start_response):
        ran.append(environ)
        return answering([b"hello"])(environ, start_response)

    near_end, far_end = socket.socketpair()
    strained = Strained(near_end.family, near_end.type, fileno=near_end.detach())
    monkeypatch.setattr(socket, "socketpair", lambda: (strained, far_end))
    joined = await join(app)
    monkeypatch.undo()
    job = await joined.start()
    assert await job.end() == "lost"
    await wait_for(lambda: not joined.thread.is_alive())
    assert ran == []
