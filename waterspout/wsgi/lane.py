"""The event loop's end of a lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from waterspout.exceptions import FrameError
from waterspout.record import Record, escape
from waterspout.wsgi.frames import (
    CANCEL,
    DATA,
    END,
    IDLE,
    READ,
    REPLY,
    FrameParser,
    ReplyHead,
    pack,
    parse_read,
    parse_reply,
)


class LaneUser(Protocol):
    """What a lane tells the exchange that runs on it, and asks it."""

    @property
    def record(self) -> Record:
        """Of its request."""

    def on_read(self, credit: int) -> None:
        """The view wants `credit` more bytes of the body."""

    def on_reply(self, head: ReplyHead | None, data: bytes, end: bytes | None) -> None:
        """What came in one read of the lane: perhaps the head, some body, perhaps the end."""

    def on_lane_lost(self, unread: bool) -> None:
        """The worker died with the request on it; `unread`: it was dead before, and has seen none of it."""

    @property
    def waits_for_client(self) -> bool:
        """The view may be waiting for more of the body, which the client has not sent."""

    def time_out(self) -> bool:
        """The view has sent nothing for too long: answer instead of it, or cut. False: no need to."""


#: Of a lane that has moved since somebody last looked.
MOVED = -1.0


class Lane(asyncio.Protocol):
    """One socket to one lane worker. It carries one exchange at a time and is free again after IDLE.

    `on_idle` and `on_lost` are called with the lane. Attributes: `user`, the exchange on it, None when
    free, or when its client is gone and what still comes is thrown away; `record`, of the last request;
    `quiet`, for how long its view has sent nothing although it could, as far as who looks at it has counted
    (seconds), or `MOVED`; `stuck`, that was too long.
    """

    record: Record

    def __init__(self, on_idle: Callable[[Lane], None], on_lost: Callable[[Lane], None]) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._parser = FrameParser()
        self._transport: asyncio.Transport | None = None
        self.user: LaneUser | None = None
        self.busy = False
        self.quiet = MOVED
        self.stuck = False
        self._paused = False
        self._sends = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one

    def begin(self, user: LaneUser, frames: bytes) -> None:
        """Start an exchange: `frames` are its REQUEST and, if it is small, its body."""
        self.user = user
        self.record = user.record
        self.busy = True
        self.quiet = MOVED
        self._sends = 0
        self.send(frames)

    @property
    def view(self) -> str:
        """Method and path of its request, for the log; a query string may hold what no log should."""
        return f"{escape(self.record.method)} {escape(self.record.target.partition('?')[0])}"

    @property
    def is_running(self) -> bool:
        """Its view could go on: it waits neither for the body nor for a client that is slow."""
        return self.busy and not self._paused and not (self.user is not None and self.user.waits_for_client)

    def send(self, frames: bytes) -> None:
        """Write to the worker. What is not asked for is never sent, so this needs no flow control."""
        if self._transport is not None and not self._transport.is_closing():
            self._sends += 1
            self._transport.write(frames)

    def cancel(self, reason: str = "the client left") -> None:
        """Nobody waits for the reply: tell the worker why, and throw away what it still sends until IDLE."""
        if self.user is not None:
            self.user = None
            self.send(pack(CANCEL, reason.encode()))
            self.resume()

    def pause(self) -> None:
        """Read no more: the client is slow, and the worker shall block in its send."""
        if self._transport is not None and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on. Harmless when not paused."""
        if self._transport is not None and self._paused and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once; the worker ends when it is through with what it runs."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        head: ReplyHead | None = None
        pieces: list[bytes] = []
        end: bytes | None = None
        idle = False
        try:
            frames = self._parser.feed(data)
        except FrameError:
            self.close()
            return
        for kind, payload in frames:
            if kind == DATA:
                pieces.append(payload)
            elif kind == REPLY:
                head = parse_reply(payload)
            elif kind == END:
                end = payload
            elif kind == IDLE:
                idle = True
            elif kind == READ:
                # In order: whether the reply has begun decides whether 100 Continue may still be said.
                self._pass_on(head, pieces, None)
                head, pieces = None, []
                if self.user is not None:
                    self.user.on_read(parse_read(payload))
        self._pass_on(head, pieces, end)
        if idle:
            self.user = None
            self.busy = False
            self.resume()  # the end may have come in the same read as what the client is still slow to take
            self._on_idle(self)

    def _pass_on(self, head: ReplyHead | None, pieces: list[bytes], end: bytes | None) -> None:
        """All that one read of the lane brought, in one call: a small reply goes out in one packet."""
        if self.user is not None and (head is not None or pieces or end is not None):
            self.quiet = MOVED
            self.user.on_reply(head, pieces[0] if len(pieces) == 1 else b"".join(pieces), end)

    def eof_received(self) -> None:
        """The worker's end is closed; returning None closes ours."""

    def connection_lost(self, error: Exception | None) -> None:
        # The other end was closed before the first write, or the write found it so: nobody has read it.
        unread = self._sends == 0 or (self._sends == 1 and isinstance(error, BrokenPipeError))
        self._transport = None
        user, self.user = self.user, None
        self._on_lost(self)
        if user is not None:
            user.on_lane_lost(unread)
