"""The event loop's end of a request's body: what the client has sent and the view has not yet asked for."""

from __future__ import annotations

import asyncio
from collections import deque

from waterspout.wsgi.frames import BODY, BODY_END, pack_header
from waterspout.wsgi.lane import Lane


class Upload:
    """Forwards body bytes to a lane, never more than the worker has asked for.

    `receive` returns a future while it holds bytes back: the server reads no more from the client until it
    is done, so at most one read of the server's (64 KiB) lies here.

    Attributes: `discarding`, nobody will read the rest.
    """

    def __init__(self) -> None:
        self._lane: Lane | None = None
        self._small = bytearray()
        self._held: deque[memoryview] = deque()
        self._credit = 0
        self._room: asyncio.Future[None] | None = None
        self._ended = False
        self._end_sent = False
        self.discarding = False

    @property
    def whole(self) -> bool:
        """The body has come from the client to its end."""
        return self._ended

    @property
    def starves(self) -> bool:
        """The worker may have more, and the client has not sent it."""
        return self._credit > 0 and not self._held and not self._ended

    def attach(self, lane: Lane) -> None:
        """The request runs on `lane` now."""
        self._lane = lane
        self._forward()

    def detach(self) -> None:
        """The lane is lost before it took anything: wait for another."""
        self._lane = None

    def collect(self, data: bytes) -> None:
        """Bytes of a small body from the client: `take` gives them all at once.

        In one buffer: as objects of their own, single bytes would take a hundred times their size.
        """
        if not self.discarding:
            self._small += data

    def receive(self, data: bytes) -> asyncio.Future[None] | None:
        """Bytes from the client. The future, if any, is done when more may come."""
        if self.discarding:
            return None
        self._held.append(memoryview(data))
        self._forward()
        if not self._held:
            return None
        if self._room is None or self._room.done():
            self._room = asyncio.get_running_loop().create_future()
        return self._room

    def end(self) -> None:
        """The client has sent all of it."""
        self._ended = True
        self._forward()

    def grant(self, credit: int) -> None:
        """The worker asks for `credit` bytes more."""
        self._credit += credit
        self._forward()

    def discard(self) -> None:
        """Nobody will read the rest: throw away what is held and what still comes."""
        self.discarding = True
        self._lane = None
        self._held.clear()
        self._small.clear()
        self._release()

    def take(self) -> bytes:
        """All that is held: a small body travels with its request."""
        data = bytes(self._small)
        self._small.clear()
        return data

    def _forward(self) -> None:
        if self._lane is None or self._end_sent:
            return
        while self._held and self._credit:
            piece = self._held.popleft()
            if len(piece) > self._credit:
                self._held.appendleft(piece[self._credit :])
                piece = piece[: self._credit]
            self._credit -= len(piece)
            self._lane.send(pack_header(BODY, len(piece)) + piece)
        if not self._held:
            self._release()
            if self._ended:
                self._end_sent = True
                self._lane.send(pack_header(BODY_END, 0))

    def _release(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


class NoUpload:
    """Of a request without a body: there is nothing to forward, hold or throw away."""

    whole = True
    starves = False
    discarding = False

    def take(self) -> bytes:
        return b""

    def end(self) -> None:
        """It never began."""

    def attach(self, lane: Lane) -> None:
        """The worker was told that nothing comes."""

    def detach(self) -> None:
        """It was told so with the request's head."""

    def grant(self, credit: int) -> None:
        """Nobody asks."""

    def discard(self) -> None:
        """There is nothing."""

    def receive(self, data: bytes) -> None:
        raise AssertionError("a body that was not announced")


NO_UPLOAD = NoUpload()
