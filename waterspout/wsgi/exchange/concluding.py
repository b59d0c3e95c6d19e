"""How an exchange ends: with a whole reply, a cut, or the server's own answer."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from waterspout.message.record import Record
from waterspout.ops.figures import Figures
from waterspout.wsgi.exchange.admission import Admission
from waterspout.wsgi.exchange.reply import Reply
from waterspout.wsgi.exchange.upload import NO_UPLOAD, NoUpload, Upload
from waterspout.wsgi.lanes.lane import Lane


class Dispatcher(Protocol):
    """The part of a pool that an exchange uses, and hands itself to. `started` counts requests that were
    given to a lane, `died` those lost with their worker.
    """

    started: int
    died: int

    @property
    def figures(self) -> Figures:
        """The counters."""

    def find_admission(self, record: Record) -> Admission:
        """What decides about slow clients, for the request of this record."""

    def submit(self, exchange: Any) -> None:
        """`start` it on a lane, now or as soon as one is free, or `refuse` it."""

    def park(self, exchange: Any) -> None:
        """It waits for a lane, but may not have one yet: `refuse` it when it, or too many, wait too long."""

    def resubmit(self, exchange: Any) -> None:
        """It was parked, or given to a lane that never read it: it gets its place in the queue."""

    def withdraw(self, exchange: Any) -> None:
        """It is in the queue, or parked, and nobody waits for it any more."""


class Concluding:
    """What an `Exchange` holds, and every way in which it ends.

    An exchange is made of three classes, each derived from the one before: `Concluding`, `SlowClient`,
    `Exchange`. A class calls, and declares, only two methods that a later one defines: `_forget` and
    `run_unfinished`.

    Attributes: `record`, of its request; `received`, bytes of the body that the client has sent;
    `expects_continue`, it waits for 100 Continue; `over`, set by a caller that waits for the conclusion.
    """

    # What most exchanges never change is set on the class.
    _upload: Upload | NoUpload = NO_UPLOAD
    _lane: Lane | None = None
    _length = 0
    received = 0
    expects_continue = False
    _submitted = False
    _concluded = False
    _known = False  # to the admission, as the client of a request that may become slow
    over: asyncio.Future[None] | None = None

    _pool: Dispatcher
    _reply: Reply
    record: Record
    _max_body_size: int

    def _end(self, note: str = "") -> None:
        """The reply is whole. If the body is not, and the client is sending it, keep reading for a moment."""
        waits_for_continue = self.expects_continue and not self.received
        is_read = self._upload.whole
        self._conclude(note)
        if is_read or waits_for_continue:
            self._reply.finish()
        else:
            self._reply.finish_later()

    def _cut(self, note: str, *, at_once: bool = False) -> None:
        self._reply.cut(at_once=at_once)
        self._conclude(note)

    def _answer(self, status: int, note: str, *, close: bool = False) -> None:
        """The server's own answer, instead of the app's."""
        self._pool.figures.answers[status] += 1
        self._say_last()
        self._reply.answer(status, close=close)
        self._end(note)

    def _fail(self, status: int, note: str, *, close: bool = False) -> None:
        """The reply can't be completed: the server's own answer, or a cut if the app's has begun."""
        if self._reply.begun:
            self._cut(note)
        else:
            self._answer(status, note, close=close)

    def _say_last(self) -> None:
        """A client that waited for 100 Continue in vain may or may not still send its body, which can't be
        told from the next request. So the final reply is the connection's last, and says so (RFC 9110 section
        10.1.1).
        """
        if self.expects_continue and not self.received:
            self._reply.close_when_done()

    def _refuse_body(self) -> None:
        """The body is, or turns out to be, larger than allowed."""
        self._abandon(f"the request's body is over the limit of {self._max_body_size} bytes")
        self._fail(413, "body-too-large", close=True)

    def _abandon(self, reason: str) -> None:
        """The app need not continue; `reason` is the error that its reads of the body will raise."""
        if self._lane is not None:
            self._lane.cancel(self, reason)
            self._lane = None
        elif self._submitted:
            self._pool.withdraw(self)

    def _conclude(self, note: str) -> None:
        """The only way to end: nobody waits for this exchange any more, on either side."""
        self._concluded = True
        self.record.note = note
        self.record.log()
        self._pool.figures.finish(self.record)
        if self._known:
            self._forget()
        self._let_go()
        if self.over is not None:
            self._tell_over()

    def _tell_over(self) -> None:
        if self.over is not None and not self.over.done():
            self.over.set_result(None)

    def _forget(self) -> None:
        """Drop what is kept for a slow client. `SlowClient` defines it."""

    def _let_go(self) -> None:
        """The worker has sent all of its reply: release the lane, and a body that nobody will read."""
        lane, self._lane = self._lane, None
        if self._upload.whole and self._upload.spool is None:
            if lane is not None:
                lane.resume()  # in case it was paused for a slow client: only IDLE and READ can follow
            return
        self._upload.discard()
        if lane is not None:
            lane.cancel(self, "the reply was complete before the request's body was")
