"""Exchanges without a client: what a lane and a pool see of one."""

import asyncio
import time

from tests.waterspout.wsgi.wires import build_request
from waterspout.limits import BACKLOG_FRESH
from waterspout.message.record import Record
from waterspout.wsgi.backlog import fits
from waterspout.wsgi.frames import BODY, BODY_END, CUT, WHOLE, pack

DEADLINE = 10.0


class Job:
    """One request for a lane.

    `outcome`: a future of "whole", "cut", "lost", "unread", "timed out", or the status that it was refused
    with.
    `slow`: nobody reads its reply, so that the lane is paused at the first word of it.
    """

    def __init__(self, target="/hello", body=b"", *, slow=False, **changes):
        self._frames = build_request(target, body, **changes)
        self._slow = slow
        self._is_small = not slow and changes.get("body_length", 0) >= 0
        self.outcome = asyncio.get_running_loop().create_future()
        self.lane = None
        self.head = None
        self.body = b""
        self.credit = 0
        self.record = Record("wsgi", "GET", target, "127.0.0.1", "id")
        self.is_starving = False

    def start(self, lane):
        assert not self.outcome.done(), "started after it was refused"
        assert self.lane is None, "started twice"
        self.lane = lane
        self.record.started = time.perf_counter()
        lane.begin(self, self._frames, small=self._is_small)

    @property
    def is_small(self):
        return self._is_small and fits(self._frames)

    def put_behind(self, lane):
        assert self.lane is None, "started twice"
        if not self._is_small or not lane.put(self, self._frames):
            return False
        self.lane = lane
        self.record.started = time.perf_counter()
        return True

    def leave_lane(self):
        self.lane = None
        self.record.started = None

    def refuse(self, status):
        assert self.lane is None, "refused after it was started"
        self.outcome.set_result(status)

    def on_read(self, credit):
        self.credit += credit

    def on_reply(self, head, data, end):
        self.head = head or self.head
        self.body += data
        if end is not None:
            self.outcome.set_result("cut" if end == CUT else "whole")
        elif self._slow:
            self.lane.pause()

    def on_switch(self):
        """None of these views takes its connection over."""

    def wind_up(self):
        """It ends by itself."""

    def on_taken(self, seconds):
        assert seconds >= 0

    def on_answer(self, answer):
        self.on_reply(answer.head, answer.body, WHOLE)

    def on_lane_lost(self, unread, stopped):
        if not self.outcome.done():
            self.outcome.set_result("unread" if unread else "lost")

    def break_off(self):
        self.lane.cancel(self)
        self.outcome.set_result("broken off")

    def time_out(self):
        if self.outcome.done():
            return False
        self.outcome.set_result("timed out")
        self.lane.cancel(self)
        return True

    def send_body(self, data, *, last=False):
        """Send some of a body on demand."""
        self.lane.send(pack(BODY, data) + (pack(BODY_END) if last else b""))

    async def end(self):
        """What became of it."""
        return await asyncio.wait_for(asyncio.shield(self.outcome), DEADLINE)

    async def answer(self):
        """The body of its reply, which must be whole."""
        assert await self.end() == "whole"
        assert self.head.status == 200
        return self.body


async def wait_for(condition, seconds=DEADLINE):
    """Wait until the condition holds, while the loop goes on."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it never came true"
        await asyncio.sleep(0.005)


def submit(pool, *arguments, **options):
    job = Job(*arguments, **options)
    pool.submit(job)
    return job


async def ask(pool, *arguments, **options):
    return await submit(pool, *arguments, **options).answer()


async def occupy(pool, gate):
    """A request that holds a lane until the gate is open."""
    job = submit(pool, f"/gated?{gate}")
    await wait_for(lambda: job.lane)
    await asyncio.sleep(3 * BACKLOG_FRESH)  # what comes now is not laid behind it
    return job


async def wait_until_free(pool):
    await wait_for(lambda: pool.running == 0)


async def pid_of(pool):
    return int((await ask(pool, "/identity")).split()[0])
