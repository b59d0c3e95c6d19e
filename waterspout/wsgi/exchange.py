"""One request and its reply, seen from the event loop: between Tornado's connection and a lane."""

from __future__ import annotations

import math
import time
from typing import Any

from waterspout.limits import HALF_CLOSED_QUEUED
from waterspout.proxies import Proxies
from waterspout.wsgi.backlog import Answer, fits
from waterspout.wsgi.concluding import Dispatcher
from waterspout.wsgi.frames import CUT, WHOLE, ReplyHead
from waterspout.wsgi.inbound import Inbound
from waterspout.wsgi.lane import Lane


class Exchange(Inbound):
    """Carries a request to a lane and the reply back.

    `connection`: Tornado's `HTTPConnection`. `max_body_size` in bytes. `proxies` decide who the client is,
    unless somebody has before.

    A small body travels with its request, once it is whole; a larger one is sent as the view asks for it.
    """

    _half_closed = False

    def __init__(
        self,
        pool: Dispatcher,
        connection: Any,
        *,
        max_body_size: int,
        proxies: Proxies,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._max_body_size = max_body_size
        self._proxies = proxies

    # -- the pool's side: it calls one of these, once ----------------------------------------------------

    def hand_to(self, pool: Dispatcher) -> None:
        """It belongs to `pool`, not to the one that it was made with: ask that for a lane."""
        self._pool = pool
        pool.submit(self)

    def start(self, lane: Lane) -> None:
        """A lane is free: go."""
        self._settle_on(lane)
        lane.begin(self, self._frames, small=not self._on_demand)
        if self._half_closed:
            lane.say_eof(self)
        if self._on_demand:
            self._upload.attach(lane)

    @property
    def is_small(self) -> bool:
        """All of it is here, and fits into the backlog of a lane."""
        return not self._on_demand and fits(self._frames)

    def put_behind(self, lane: Lane) -> bool:
        """Lay the request ready for a lane that is busy. False: it is too large, or there is no room."""
        if self._on_demand or not lane.put(self, self._frames):
            return False
        self._settle_on(lane)
        if self._half_closed:
            lane.say_eof(self)
        return True

    def _settle_on(self, lane: Lane) -> None:
        self._lane = lane
        # It runs anyway, and a client that has only closed its sending side waits for what it gives.
        self._connection.half_close_grace = math.inf
        if getattr(self._connection, "strict", False):  # Tornado's own never calls it, and never lets it go
            self._connection.half_close_callback = self._on_half_close
        self.record.started = time.perf_counter()

    def leave_lane(self) -> None:
        """The lane's worker has not taken it from the backlog: it waits for another lane."""
        self._lane = None
        self._connection.half_close_grace = HALF_CLOSED_QUEUED
        self.record.started = None

    def refuse(self, status: int) -> None:
        """There is no lane for this request, and won't be soon."""
        self._answer(status, "no-lane")

    # -- the worker's side: the lane calls these ---------------------------------------------------------

    def on_read(self, credit: int) -> None:
        """The view reads the body; one that is here it may read even behind the reply's end."""
        if self.expects_continue and not self._reply.begun:
            self.say_continue()
        self._upload.grant(credit)

    def on_reply(self, head: ReplyHead | None, data: bytes, end: bytes | None) -> None:
        if self._concluded:
            return
        if self._download is not None:
            self._store_reply(self._download, data, end)
            return
        if head is not None:
            self._say_last()
            self._reply.begin(head, data)
        elif data:
            self._reply.write(data)
        if end == CUT:
            self._cut("cut")
        elif end is not None:
            self._end()
        elif self._lane is not None and not self._reply.when_flushed(self._resume):
            self._hold_up(self._lane)

    def on_taken(self, seconds: float) -> None:
        """The worker has taken it from the backlog, and has run it for so long."""
        self.record.started = time.perf_counter() - seconds

    def on_answer(self, answer: Answer) -> None:
        """All of a small reply, out of the lane's backlog."""
        self._lane = None
        self.record.started = time.perf_counter() - answer.seconds
        self.on_reply(answer.head, answer.body, WHOLE)

    def on_lane_lost(self, unread: bool, stopped: bool) -> None:
        """The worker died under the request, or is not waited for any longer. It may have done half its work:
        it is not run again, unless the worker was dead before it could read it.
        """
        self._lane = None
        if self._concluded or self._has_ended:
            return
        if unread:
            self._upload.detach()
            self.leave_lane()
            self._pool.started -= 1
            self._pool.submit(self)
            return
        if not stopped:
            self._pool.died += 1
        note = "stopped" if stopped else "process-died"
        if self._download is not None:
            self._end_spooled(self._download, note)
        elif self._reply.begun:
            self._cut(note)
        else:
            self._answer(502, note)

    def break_off(self) -> None:
        if not self._concluded:
            self._abandon("its reply could not be passed on")
            self._cut("cut", at_once=True)

    def time_out(self) -> bool:
        """The view has sent nothing for too long. False: nobody waits for it any more."""
        if self._concluded or self._has_ended:
            return False
        self._abandon("the view ran out of time")
        if self._download is not None:
            self._end_spooled(self._download, "timed-out")
        elif self._reply.begun:
            self._cut("timed-out")
        else:
            self._answer(504, "timed-out")
        return True

    def _on_half_close(self) -> None:
        """The client may have left: the view may want to know, and the reply is still written."""
        self._half_closed = True
        if self._lane is not None:
            self._lane.say_eof(self)
