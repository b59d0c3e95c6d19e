"""The event loop's end of a request's body: what the client has sent and the view has not yet asked for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from waterspout.wsgi.exchange.spool import Spool, SpoolSpace
from waterspout.wsgi.frames import BODY, BODY_END, pack_header
from waterspout.wsgi.lanes.lane import Lane


class Upload:
    """Forwards body bytes to a lane, never more than the worker has asked for.

    `receive` returns a future while it holds bytes back: the server reads no more from the client until that
    is done, so at most one of the server's reads (`limits.BODY_PIECE`) is held here. After `store`, what
    comes before there is a lane goes to a spool.

    Attributes: `discarding`, nobody will read the rest; `whole`, all of the body has come from the client;
    `spool`, what came before there was a lane, as long as some of it is left.
    """

    def __init__(self) -> None:
        self._lane: Lane | None = None
        self._small = bytearray()
        self._held: deque[memoryview] = deque()
        self._credit = 0
        self._room: asyncio.Future[None] | None = None
        self.whole = False
        self._end_sent = False
        self.spool: Spool | None = None
        self._on_failure: Callable[[OSError], None] | None = None  # of the spool
        self.discarding = False

    @property
    def starves(self) -> bool:
        """The worker could take more, but the client has not sent it."""
        return self._credit > 0 and not self.whole and self._lane is not None and self.spool is None

    def store(self, space: SpoolSpace, limit: int, on_failure: Callable[[OSError], None]) -> None:
        """Until there is a lane, keep what comes in a spool of `limit` bytes. `on_failure`: that failed."""
        self.spool = Spool(space, limit, self._on_spool)
        self._on_failure = on_failure

    def attach(self, lane: Lane) -> None:
        """The request runs on `lane` now."""
        self._lane = lane
        while self.spool is not None and not self.spool.takes_space and self._unspool():
            pass  # all of it is in memory
        self._forward()

    def detach(self) -> None:
        """The lane was lost before it took anything: wait for another."""
        self._lane = None
        self._end_sent = False

    def collect(self, data: bytes) -> None:
        """Bytes of a small body from the client: `take` returns them all at once.

        In one buffer: bytes that come singly, each as an object, would take a hundred times their size.
        """
        if not self.discarding:
            self._small += data

    def receive(self, data: bytes) -> asyncio.Future[None] | None:
        """Bytes from the client. The future, if any, is done when more may come."""
        if self.discarding or self._end_sent:  # said before the client has stopped: see `wind_up`
            return None
        if self.spool is not None:
            self.spool.put(data)
        else:
            self._held.append(memoryview(data))
        self._forward()
        return self.wait() if self._holds_back else None

    def wait(self) -> asyncio.Future[None]:
        """A future, done when the client may send more."""
        if self._room is None or self._room.done():
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def end(self) -> None:
        """The client has sent all of it."""
        self.whole = True
        self._forward()

    def grant(self, credit: int) -> None:
        """The worker asks for `credit` more bytes."""
        self._credit += credit
        self._forward()

    def discard(self) -> None:
        """Nobody will read the rest: throw away what is held and what still comes."""
        self.discarding = True
        self._lane = None
        self._held.clear()
        self._small.clear()
        if self.spool is not None:
            self._end_spool(self.spool)
        self._release()

    def take(self) -> bytes:
        """Take all that is held: a small body travels with its request."""
        data = bytes(self._small)
        self._small.clear()
        return data

    @property
    def _holds_back(self) -> bool:
        """Nothing more is to be read from the client for now."""
        if self.spool is None:
            return bool(self._held)
        return self.spool.is_full or self._lane is not None

    def _forward(self) -> None:
        if self._lane is None or self._end_sent:
            return
        while self._credit and (self._held or self._unspool()):
            piece = self._held.popleft()
            if len(piece) > self._credit:
                self._held.appendleft(piece[self._credit :])
                piece = piece[: self._credit]
            self._credit -= len(piece)
            self._lane.send(pack_header(BODY, len(piece)) + piece)
        if not self._held and self.spool is None:
            self._release()
            if self.whole:
                self._end_sent = True
                self._lane.send(pack_header(BODY_END, 0))

    def _unspool(self) -> bool:
        """Hold the next piece of the spool. False: there is none, or the disk is still working on it."""
        spool = self.spool
        if spool is None:
            return False
        piece = spool.get()
        if piece:
            self._held.append(memoryview(piece))
        if not spool.size:
            self._end_spool(spool)
        return bool(piece)

    def _end_spool(self, spool: Spool) -> None:
        spool.close()
        self.spool = self._on_failure = None

    def _on_spool(self) -> None:
        spool = self.spool
        assert spool is not None  # once closed, it calls nothing
        error = spool.broken or spool.failed
        if error is not None and self._on_failure is not None:
            self._on_failure(error)
            return
        self._forward()
        if not self._holds_back:
            self._release()

    def _release(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class NoUpload:
    """For a request without a body: there is nothing to forward, hold or throw away."""

    whole = True
    starves = False
    spool = None
    discarding = False

    def take(self) -> bytes:
        return b""

    def end(self) -> None:
        """It never began."""

    def attach(self, lane: Lane) -> None:
        """The request's head has told the worker that no body comes."""

    def detach(self) -> None:
        """There is nothing to send again."""

    def grant(self, credit: int) -> None:
        """The worker never asks."""

    def discard(self) -> None:
        """There is nothing."""

    def receive(self, data: bytes) -> None:
        raise AssertionError("a body that was not announced")


NO_UPLOAD = NoUpload()
