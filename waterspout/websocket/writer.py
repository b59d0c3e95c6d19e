"""The write side of a WebSocket: frames to the transport, and what waits for room."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from tornado.iostream import StreamBufferFullError
from tornado.log import gen_log
from tornado.websocket import WebSocketClosedError

from waterspout.limits import JOINED_SIZE, WRITE_TIMEOUT
from waterspout.system.joining import append_joined
from waterspout.system.unacknowledged import held_by_kernel
from waterspout.websocket.deflate import Deflater
from waterspout.websocket.frames import CLOSE, PONG, build_close, build_frame, build_header

#: A coroutine that only writes, to a client that reads as fast, yields after this many messages.
WRITE_TURN: Final = 64
#: A client with this much unsent data is not heard until it has taken most of it: more than a message of the
#: largest size that a client may send by default (bytes).
UNSENT: Final = 16 * 1024 * 1024
#: Nor is one that has been heard this often meanwhile, and so answered: for each unsent message there is a
#: future, however small it is. What a handler sends unasked is not the client's doing.
UNSENT_MESSAGES: Final = 1000
#: How often it is looked, in the time that a client may take nothing, whether it has.
LOOKS: Final = 8


class FrameWriter:
    """Writes to `transport`, which says when it is full; then messages wait here. Of pongs only one does. A
    client that has taken nothing for `timeout` seconds while there was something to take is cut: it may have
    vanished, and what is written for it without waiting would be kept forever.

    Attributes: `closed`, nothing more may be sent after a close frame (RFC 6455 section 5.5.1); `limit`,
    how many bytes may be unsent when a message is sent (None: any number).
    """

    __slots__ = (
        "_deflater",
        "_heard",
        "_loop",
        "_messages",
        "_paused",
        "_pong",
        "_queue",
        "_queued",
        "_timeout",
        "_timer",
        "_transport",
        "_waiters",
        "_written",
        "closed",
        "limit",
    )

    def __init__(
        self, transport: asyncio.Transport, deflater: Deflater | None, timeout: float = WRITE_TIMEOUT
    ) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._deflater = deflater
        self._paused = False
        self._written = 0
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._messages = self._heard = 0
        self._waiters: list[asyncio.Future[None]] | None = None
        self._pong: bytes | None = None
        self._queue: deque[bytearray | memoryview] | None = None
        self._queued = 0
        self.closed = False
        self.limit: int | None = None

    def is_full(self) -> bool:
        """More is unsent than a client that does not read may cause. Called once for each of its messages."""
        if not self._paused:
            return False
        self._heard += 1
        return self._heard > UNSENT_MESSAGES or self.unsent > UNSENT

    @property
    def unsent(self) -> int:
        """What has been written but not yet taken by the kernel (bytes)."""
        return self._queued + self._transport.get_write_buffer_size()

    @property
    def holds(self) -> bool:
        """Something has not even been passed to the transport."""
        return self._queue is not None

    def send_message(self, opcode: int, payload: bytes) -> asyncio.Future[None]:
        """Send a message. The future is done when there is room for more; fails with WebSocketClosedError.

        Raises StreamBufferFullError: with it, more would be unsent than `limit`.
        """
        if self.limit is not None and self.unsent + len(payload) > self.limit:
            raise StreamBufferFullError("Reached maximum write buffer size")
        if self._deflater is None:
            self._send(opcode, payload)
        else:
            self._send(opcode, self._deflater.deflate(payload), compressed=True)
        return self._when_room()

    def send_control(self, opcode: int, payload: bytes) -> None:
        """Send a control frame; do nothing when closed. Raises ValueError: more than 125 bytes."""
        if not self.closed:
            self._send(opcode, payload)

    def send_close(self, code: int | None, reason: str | None) -> None:
        """Send a close frame, if none was sent. Raises ValueError: the reason has more than 123 bytes."""
        self.send_control(CLOSE, build_close(code, reason))
        self.closed = True
        self.pass_on()

    def answer_close(self, code: int | None) -> None:
        """Send a close frame, unless the client's is the answer to one (RFC 6455 section 5.5.1)."""
        self.send_control(CLOSE, build_close(code, None))
        self.pass_on()

    def pass_on(self) -> None:
        """Pass all that waits here to the transport: it is about to be closed."""
        while self._queue and not self._transport.is_closing():
            self._write_first(self._queue)

    def answer_ping(self, payload: bytes) -> None:
        """Send a pong; while the client takes nothing, keep only its last ping (RFC 6455 section 5.5.3)."""
        if self._paused:
            self._pong = payload
        else:
            self.send_control(PONG, payload)

    def pause(self) -> None:
        """The transport is full."""
        self._paused = True
        self.watch()

    def resume(self) -> bool:
        """The transport has room. Returns whether it still has, with all that has waited here."""
        self._paused = False
        while self._queue and not self._paused:
            self._write_first(self._queue)
        if self._paused:
            return False
        self._queue = None
        self._heard = 0
        waiters, self._waiters = self._waiters, None
        for future in waiters or ():
            _set_done(future)
        pong, self._pong = self._pong, None
        if pong is not None:
            self.answer_ping(pong)
        return True

    def lose(self) -> None:
        """The connection is lost: futures that wait for room fail."""
        self._paused = False  # what is written now waits for nothing
        self._queue, self._queued = None, 0
        self._unwatch()
        waiters, self._waiters = self._waiters, None
        for future in waiters or ():
            if not future.done():
                future.set_exception(WebSocketClosedError())
                future.exception()  # not every caller looks at what `write_message` returns

    def _send(self, opcode: int, payload: bytes, *, compressed: bool = False) -> None:
        if self._transport.is_closing():
            return
        if len(payload) <= JOINED_SIZE:  # a copy of a larger one costs more than a second write
            self._write(build_frame(opcode, payload, compressed=compressed))
        else:
            self._write(build_header(opcode, len(payload), compressed=compressed))
            self._write(payload)

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        if not self._paused:
            self._transport.write(data)
            return
        if self._queue is None:
            self._queue = deque()
        append_joined(self._queue, data)
        self._queued += len(data)

    def _write_first(self, queue: deque[bytearray | memoryview]) -> None:
        piece = queue.popleft()
        self._queued -= len(piece)
        self._transport.write(piece)

    # -- a client that takes nothing ---------------------------------------------------------------------

    def watch(self) -> None:
        """Watch the client until it has taken all that there is."""
        if self._timer is None:
            self._look_again(LOOKS, self._look())

    def _look(self) -> tuple[int, int, int]:
        """Bytes that were written, that are unsent, and that the kernel holds: if full, it accepts nothing
        for a long time, however steadily the client reads.
        """
        return self._written, self.unsent, held_by_kernel(self._transport.get_extra_info("socket"))

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_again(self, times: int, seen: tuple[int, int, int]) -> None:
        self._timer = self._loop.call_later(self._timeout / LOOKS, self._judge, times, seen)

    def _judge(self, times: int, before: tuple[int, int, int]) -> None:
        """Look whether the client has taken anything; if not, cut it the last of these `times`."""
        written_before, unsent_before, held_before = before
        seen = written, unsent, held = self._look()
        if not (unsent or held or self._paused):
            self._timer = None
            return
        more = written - written_before
        is_taking = held != held_before or unsent < unsent_before + more
        times = LOOKS if is_taking else times - 1
        if times:
            self._look_again(times, seen)
        else:
            self._timer = None
            gen_log.info("a WebSocket client reads nothing of what it is sent: cut off")
            self._transport.abort()

    def _when_room(self) -> asyncio.Future[None]:
        # One for each waiter: if one is cancelled, the others still wait.
        future: asyncio.Future[None] = self._loop.create_future()
        self._messages += 1
        if self._paused:
            self._waiters = self._waiters or []
            self._waiters.append(future)
        elif self._messages % WRITE_TURN == 0:
            self._loop.call_soon(_set_done, future)
        else:
            future.set_result(None)
        return future


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
