"""One request and its reply, seen from the event loop: between Tornado's connection and a lane."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from waterspout.limits import HALF_CLOSED_QUEUED
from waterspout.proxies import Proxies
from waterspout.record import Record
from waterspout.wsgi.backlog import Answer, fits
from waterspout.wsgi.dispatcher import Dispatcher
from waterspout.wsgi.frames import CUT, WHOLE, ReplyHead
from waterspout.wsgi.inbound import Inbound
from waterspout.wsgi.lane import Lane


class Exchange(Inbound):
    """Carries a request to a lane and the reply back.

    `connection`: Tornado's `HTTPConnection`. `max_body_size` in bytes. `proxies` decide who the client is,
    unless somebody has before.

    A small body travels with its request, once it is whole; a larger one is sent as the view asks for it.
    """

    _lane: Lane | None = None
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
        """Another pool than the one that it was made for is its own."""
        self._pool = pool
        pool.submit(self)

    def _ask_for_lane(self) -> None:
        self._pool.submit(self)

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
        """Lie ready for a lane that is busy. False: it can't."""
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
        self._record.started = time.perf_counter()

    def leave_lane(self) -> None:
        """The lane had not come to it: it waits for another."""
        self._lane = None
        self._connection.half_close_grace = HALF_CLOSED_QUEUED
        self._record.started = None

    def refuse(self, status: int) -> None:
        """There is no lane for this request, and won't be soon."""
        self._answer(status, "no-lane")

    # -- the worker's side: the lane calls these ---------------------------------------------------------

    def on_read(self, credit: int) -> None:
        """The view reads the body; one that is here it may read even behind the reply's end."""
        if self._expects_continue and not self._reply.begun:
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
        """It lay ready, and runs."""
        self._record.started = time.perf_counter() - seconds

    def on_answer(self, answer: Answer) -> None:
        """A small reply, which has lain ready for a moment."""
        self._lane = None
        self._record.started = time.perf_counter() - answer.seconds
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

    @property
    def record(self) -> Record:
        return self._record

    @property
    def waits_for_client(self) -> bool:
        return self._upload.starves

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

    # -- endings -----------------------------------------------------------------------------------------

    def _end(self, note: str = "", *, linger: bool = True) -> None:
        """The reply is whole. If the body is not, and the client is sending it, read on for a moment."""
        waits_for_continue = self._expects_continue and not self._received
        is_read = self._upload.whole
        self._conclude(note)
        if is_read or waits_for_continue or not linger:
            self._reply.finish()
        else:
            self._reply.finish_later()

    def _cut(self, note: str, *, at_once: bool = False) -> None:
        self._reply.cut(at_once=at_once)
        self._conclude(note)

    def _answer(self, status: int, note: str, *, close: bool = False, linger: bool = True) -> None:
        """The server's own answer, instead of the app's."""
        self._pool.figures.answers[status] += 1
        self._say_last()
        self._reply.answer(status, close=close)
        self._end(note, linger=linger)

    def _say_last(self) -> None:
        """A client that waits for 100 Continue may send its body yet, or not: nobody can tell it from the
        next request. So the final reply is the last one, and says so (RFC 9110 section 10.1.1).
        """
        if self._expects_continue and not self._received:
            self._reply.close_when_done()

    def _refuse_body(self) -> None:
        """The body is, or turns out to be, larger than allowed."""
        self._abandon(f"the request's body is over the limit of {self._max_body_size} bytes")
        if self._reply.begun:
            self._cut("body-too-large")
        else:
            # What is beyond sys.maxsize Tornado refuses to read, so there is nothing to wait for.
            self._answer(413, "body-too-large", close=True, linger=self._length < sys.maxsize)

    def _abandon(self, reason: str) -> None:
        """The app need not go on; `reason` is what its reads of the body will say."""
        if self._lane is not None:
            self._lane.cancel(self, reason)
            self._lane = None
        elif self._submitted:
            self._pool.withdraw(self)

    def _conclude(self, note: str) -> None:
        """The one way out: nobody waits for this exchange any more, on either side."""
        self._concluded = True
        self._record.note = note
        self._record.log()
        self._pool.figures.finish(self._record)
        if self._known:
            self._forget()
        self._let_go()

    def _let_go(self) -> None:
        """The reply is whole as far as the worker is concerned: it may come to its end."""
        lane, self._lane = self._lane, None
        if self._upload.whole and self._upload.spool is None:
            if lane is not None:
                lane.resume()  # whatever was held back for a slow client: only IDLE and READ can follow
            return
        self._upload.discard()
        if lane is not None:
            lane.cancel(self, "the reply was whole before the request's body was")
