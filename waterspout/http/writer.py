"""The write side of a connection: how much is on its way to the client, and what waits for room.

Backpressure is the transport's: past its high-water mark it calls `pause`, below the low one `resume`. What
is written meanwhile waits here. So do large pieces, by reference, and go to the transport bit by bit: it may
copy what the kernel does not take.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable

from tornado.iostream import StreamBufferFullError, StreamClosedError

from waterspout.http.gone import GONE
from waterspout.http.sendfile import FilePart
from waterspout.limits import WRITE_SIZE
from waterspout.message.closing import RESET_ON_CLOSE
from waterspout.system.joining import append_joined
from waterspout.system.unacknowledged import held_by_kernel

#: From this many waiting futures on, those that were cancelled are swept out.
_FEW = 32
#: After this many writes that need not wait, one does, for the loop's next turn: a handler that only writes,
#: to a client that reads as fast, would be alone with the loop.
WRITE_TURN = 64
_Bytes = bytes | bytearray | memoryview


class Writer:
    """Writes to `transport`. `done`: a future that is done, returned by every write that need not wait.

    Attributes: `closed`, no further write goes anywhere; `paused`, the client is slow; `wrote_in_vain`,
    something was written when the connection was already closed or lost, or a file did not go out; `limit`,
    how many bytes of replies may be unsent (None: any number), which only `check_limit` looks at.
    """

    __slots__ = (
        "_done",
        "_queue",
        "_queued",
        "_transport",
        "_waiters",
        "_waiters_limit",
        "_writes",
        "_written",
        "closed",
        "limit",
        "paused",
        "wrote_in_vain",
    )

    def __init__(self, transport: asyncio.Transport, done: asyncio.Future[None]) -> None:
        self._transport = transport
        self._done = done
        self._queue: deque[bytearray | memoryview | FilePart] | None = None
        self._queued = 0
        self._written = self._writes = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._waiters_limit = _FEW
        self.closed = False
        self.paused = False
        self.wrote_in_vain = False
        self.limit: int | None = None

    def forget_transport(self) -> None:
        """It is gone, or has been handed over."""
        self._transport = GONE

    def write(self, data: _Bytes) -> asyncio.Future[None]:
        """The future is done when there is room for more, or fails with StreamClosedError."""
        if self.closed or self.is_lost:
            self.wrote_in_vain = self.wrote_in_vain or len(data) > 0
            return self._failed()
        self._writes += 1
        if self._queue is None and not self.paused and len(data) <= WRITE_SIZE:
            self._written += len(data)
            self._transport.write(data)
            if not self.paused and self._writes % WRITE_TURN:
                return self._done  # as most do: two calls less for each reply
        elif len(data):
            self._put(data, len(data))
        if self._writes % WRITE_TURN or self.is_full:
            return self.when_room()
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(_set_done, future)
        return future

    def write_file(
        self, part: FilePart, on_room: Callable[[], None], on_failure: Callable[[str], None]
    ) -> None:
        """Write `part` after everything so far. `on_room` does as a transport does: `resume` and `go_on`."""
        part.bind(self._count, on_room, on_failure)
        self._put(part, part.left)

    @property
    def is_lost(self) -> bool:
        """The transport is closing, not by us: `close` is about to be called. A handler that never has to
        wait never lets the loop call it.
        """
        return not self.closed and self._transport.is_closing()

    @property
    def holds(self) -> bool:
        """Something has not even been passed to the transport."""
        return self._queue is not None

    @property
    def has_written(self) -> bool:
        """Something has been written."""
        return self._written > 0

    @property
    def is_full(self) -> bool:
        """The client takes less than has been written."""
        return self.paused or self._queue is not None

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken."""
        return self._queued + self._transport.get_write_buffer_size()

    @property
    def sent(self) -> int:
        """Bytes that the kernel has taken."""
        return self._written - self._transport.get_write_buffer_size()

    @property
    def taken(self) -> int:
        """Bytes that the client's own side has taken, as far as the kernel tells: it holds some itself."""
        return self.sent - held_by_kernel(self._transport.get_extra_info("socket"))

    def check_limit(self, size: int) -> None:
        """Raises StreamBufferFullError: `size` bytes more would be more than a handler allows."""
        if self.limit is not None and self.unsent + size > self.limit:
            raise StreamBufferFullError("Reached maximum write buffer size")

    def when_room(self) -> asyncio.Future[None]:
        """Done when the transport would take more."""
        if self.closed:
            return self._failed()
        if not self.is_full:
            return self._done
        if len(self._waiters) >= self._waiters_limit:
            self._waiters = [waiter for waiter in self._waiters if not waiter.done()]
            self._waiters_limit = max(_FEW, 2 * len(self._waiters))
        # One future for each waiter: if one is cancelled, the others still wait.
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(future)
        return future

    def pause(self) -> None:
        """Called by the transport, past its high-water mark."""
        self.paused = True

    def resume(self) -> None:
        """Called by the transport, below its low-water mark. If something waits here, `go_on` is to be called
        in the loop's next turn: if a write fails during this call, asyncio's transport ends twice, and logs
        that.
        """
        self.paused = False
        if self._queue is None:
            self._wake()

    def go_on(self) -> None:
        """Write what waits, as far as there is room."""
        self._drain_queue()
        if not self.paused and self._queue is None:
            self._wake()

    def hand_over(self) -> None:
        """Nothing more may be written, and the transport is about to be handed over: all that has been
        written is passed to it, and goes out before what its new owner writes. (Not from a file on: that
        would have to be read, so it is given up.)
        """
        while self._queue and not self._transport.is_closing():
            part = self._queue[0]
            if isinstance(part, FilePart):
                break
            self._queue.popleft()
            self._count(len(part))
            self._transport.write(part)
        if not self._queue and not self._transport.is_closing():
            self._wake()
        self.close()

    def end(self) -> None:
        """Nothing more may be written; what has been written still goes out."""
        self.closed = True

    def reset_on_close(self) -> None:
        """Make the socket end with a reset, which no client takes for a clean end."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError, ValueError, AttributeError):  # it may be closed, or forgotten
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def close(self) -> None:
        """The connection is lost, or given up: futures that wait for room fail."""
        self.closed = True
        for part in self._queue or ():
            if isinstance(part, FilePart):
                part.close()
                self.wrote_in_vain = True
        self._queue, self._queued = None, 0
        waiters, self._waiters = self._waiters, []
        for future in waiters:
            if not future.done():
                future.set_exception(StreamClosedError())
                future.exception()  # not every caller looks at what `write` returns

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for future in waiters:
            _set_done(future)

    def _put(self, part: _Bytes | FilePart, size: int) -> None:
        if self._queue is None:
            self._queue = deque()
        if isinstance(part, FilePart):
            self._queue.append(part)
        else:
            append_joined(self._queue, part)
        self._queued += size
        if not self.paused:
            self._drain_queue()

    def _drain_queue(self) -> None:
        # Not to a transport that is closing: what precedes may not have gone out, and `close` is about to be
        # called.
        while self._queue and not self.paused and not self._transport.is_closing():
            head = self._queue[0]
            if isinstance(head, FilePart):
                if not self._send(head):
                    return
                continue
            piece = head
            if len(head) <= WRITE_SIZE:
                self._queue.popleft()
            else:
                piece, self._queue[0] = head[:WRITE_SIZE], head[WRITE_SIZE:]
            self._count(len(piece))
            self._transport.write(piece)
        if self._queue is not None and not self._queue:
            self._queue = None

    def _send(self, part: FilePart) -> bool:
        """Send `part`. Returns whether what is queued behind it may follow at once."""
        if self._transport.get_write_buffer_size():
            # It pauses us now, and resumes once the kernel has taken all it had.
            self._transport.set_write_buffer_limits(high=0)
            return self.paused
        if not part.send():
            return False
        part.close()
        self._transport.set_write_buffer_limits()
        if self._queue is not None:
            self._queue.popleft()
        return True

    def _count(self, size: int) -> None:
        self._queued -= size
        self._written += size

    def _failed(self) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_exception(StreamClosedError())
        future.exception()
        return future


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():  # nobody has cancelled it
        future.set_result(None)
