"""Tornado's `IOStream` over a transport: the part of its interface that handlers use while HTTP is spoken,
and a real one once a handler has detached the socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from waterspout.http.gone import GONE
from waterspout.limits import LINGER
from waterspout.system.hangup import has_closed, has_hung_up
from waterspout.system.secure_socket import find_socket
from waterspout.system.transport import find_descriptor, shut_down_writing
from waterspout.system.unacknowledged import held_by_kernel

if TYPE_CHECKING:
    from waterspout.http.connection import Connection

#: How often it is looked, in the time that a client may take nothing, whether it has.
_LOOKS: Final = 8


class Stream:
    """`request.connection.stream`, as far as Tornado's own code and handlers use it.

    Attributes: `error`, what has ended the connection; `max_buffer_size`, which may be set and means nothing:
    other limits hold for what is read.
    """

    __slots__ = ("_close_callback", "_connection", "_transport", "_writer", "error", "max_buffer_size")

    def __init__(self, connection: Connection, transport: asyncio.Transport) -> None:
        self._connection: Connection | None = connection
        self._writer = connection.writer
        self._transport = transport
        self._close_callback: Callable[[], None] | None = None
        self.error: BaseException | None = None
        self.max_buffer_size = connection.server.max_body_size

    @property
    def max_write_buffer_size(self) -> int | None:
        """How many bytes may be unsent; None: any number. A write that would exceed it raises
        StreamBufferFullError.
        """
        return self._writer.limit

    @max_write_buffer_size.setter
    def max_write_buffer_size(self, size: int | None) -> None:
        self._writer.limit = size

    def writing(self) -> bool:
        """Whether something has not been taken by the kernel."""
        return self._writer.unsent > 0

    def write(self, data: bytes) -> asyncio.Future[None]:
        """Write raw bytes. The future is done when there is room for more; fails with StreamClosedError.

        Raises StreamBufferFullError: more would be unsent than `max_write_buffer_size`.
        """
        if not data:
            return self._writer.when_room()
        self._writer.check_limit(len(data))
        return self._writer.write(data)

    def closed(self) -> bool:
        return self._writer.closed or self._transport.is_closing()

    def close(self, exc_info: Any = False) -> None:
        """Close; what was written still goes out."""
        if self._connection is not None:
            self._connection.close()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Set a callback, called once when the connection is lost."""
        self._close_callback = callback

    def set_nodelay(self, value: bool) -> None:
        """Nothing to do: asyncio has set TCP_NODELAY, and writes are whole."""

    @property
    def socket(self) -> Any:
        """For its names and options; with TLS it also has what an `ssl.SSLSocket` has."""
        return find_socket(self._transport)

    @property
    def io_loop(self) -> IOLoop:
        return IOLoop.current()

    def fileno(self) -> int:
        return find_descriptor(self._transport)

    def forget_transport(self) -> None:
        """It is gone, or has been handed over."""
        self._transport = GONE

    def on_over(self) -> None:
        """HTTP is over: the connection, which refers to us, has nothing left to close, and nobody to tell."""
        self._connection = self._close_callback = None

    def on_lost(self, error: BaseException | None) -> Callable[[], None] | None:
        """The connection is lost. Returns the close callback, for the caller to call."""
        # Its traceback leads to the last writer, and from there to us: a reference cycle.
        self.error = None if error is None else error.with_traceback(None)
        callback = self._close_callback
        self.on_over()
        return callback


class DetachedStream(IOStream):
    """The connection's socket, once its transport has sent out what it held, with `rest` to be read first."""

    def __init__(self, sock: socket.socket, rest: bytes, *, handed_over: bool) -> None:
        self._rest = rest
        self._handed_over = handed_over
        super().__init__(sock)

    def on_handed_over(self) -> None:
        """The transport has released the socket."""
        self._handed_over = True

    def read_from_fd(self, buf: bytearray | memoryview) -> int | None:
        if not self._rest:
            return super().read_from_fd(buf)
        size = min(len(buf), len(self._rest))
        buf[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def write_to_fd(self, data: memoryview) -> int:
        # Not before what HTTP has written: 0 means "the socket is full", and the loop tries again.
        return super().write_to_fd(data) if self._handed_over else 0


class _Pump(asyncio.Protocol):
    """Copies what one transport receives to another, at the pace of the slower one, and its end.

    Attributes: `full`, its own transport is; `has_ended`, nothing more comes from that.
    """

    def __init__(self, rest: bytes = b"", *, full: bool = False, has_ended: bool = False) -> None:
        self._waiting = [rest] if rest else []
        self.full = full
        self.has_ended = has_ended
        self._target: asyncio.Transport | None = None
        self._source: Any = None
        self._lost = False
        self.peer: _Pump | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._source = transport

    def attach(self, target: asyncio.Transport) -> None:
        self._target = target
        for data in self._waiting:
            self._pass_on(target, data)
        self._waiting.clear()
        if self._lost:
            target.close()
        elif self.has_ended:
            shut_down_writing(target)

    def data_received(self, data: bytes) -> None:
        if self._target is None:
            self._waiting.append(data)
        else:
            self._pass_on(self._target, data)

    def _pass_on(self, target: asyncio.Transport, data: bytes) -> None:
        target.write(data)

    def eof_received(self) -> bool:
        """The stream has been closed, or writes no more. What the client still sends is discarded for a
        moment: unread bytes make the kernel send a reset, which can destroy what it has not taken.
        """
        if self._target is None or self.peer is None or self.peer.has_ended:
            return False  # which closes both
        self.has_ended = True
        shut_down_writing(self._target)
        asyncio.get_running_loop().call_later(LINGER, self._source.close)
        return True

    def pause_writing(self) -> None:
        self.full = True
        if self.peer is not None and self.peer._source is not None:
            self.peer._source.pause_reading()

    def resume_writing(self) -> None:
        self.full = False
        if self.peer is not None and self.peer._source is not None and not self.peer._source.is_closing():
            self.peer._source.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._source = None
        self._part()

    def _part(self) -> None:
        """Nothing more comes from here: the other transport ends behind what has come."""
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.peer = None
        if self._target is not None:
            self._target.close()
            self._target = None
        if peer is not None:
            peer.on_parted()

    def on_parted(self) -> None:
        """The other side has ended."""


class _SecurePump(_Pump):
    """One whose own transport is a client's TLS, and whose target a socket pair: `pair` is our end of that.
    `timeout`: how long the client may take nothing of what it holds when it closes (seconds).
    """

    def __init__(self, rest: bytes, pair: socket.socket, timeout: float, **state: bool) -> None:
        super().__init__(rest, **state)
        self._pair: socket.socket | None = pair
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        if self.peer is not None and not self.peer.has_ended:  # what comes behind our own end is encrypted
            super().data_received(data)

    def _pass_on(self, target: asyncio.Transport, data: bytes) -> None:
        # To a stream that is closed, a write fails, and ends the pair: what that has not brought yet is lost.
        if not has_closed(self._pair):
            super()._pass_on(target, data)

    def eof_received(self) -> bool:
        """The client sends no more; it may still be sent something."""
        self.has_ended = True
        if self.peer is not None and not self.peer.has_ended:
            if self._target is not None:
                shut_down_writing(self._target)
            return True
        self._part()
        self.on_parted()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _part(self) -> None:
        if self._pair is not None:
            # The stream gets all that has come; but what it writes from now on fails, though that be unread.
            with contextlib.suppress(OSError):
                self._pair.shutdown(socket.SHUT_RD)
            self._pair = None
        super()._part()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.on_parted()  # the pair isn't read now: nobody says that the stream has been closed

    def on_parted(self) -> None:
        """A transport closes behind what it holds, and waits for its client without end: watch that."""
        if self._timer is None and self._source is not None:
            self._look_again(_LOOKS, self._look())

    def _look(self) -> tuple[int, int]:
        held = held_by_kernel(self._source.get_extra_info("socket"))
        return self._source.get_write_buffer_size(), held

    def _look_again(self, times: int, seen: tuple[int, int]) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._timeout / _LOOKS, self._judge, times, seen)

    def _judge(self, times: int, before: tuple[int, int]) -> None:
        self._timer = None
        has_parted = self.peer is None or has_hung_up(self._pair)
        seen = self._look()
        times = times - 1 if has_parted and seen == before else _LOOKS
        if not times:
            self._source.abort()
        elif has_parted or self.full:
            self._look_again(times, seen)


def detach_stream(
    transport: asyncio.Transport, rest: bytes, timeout: float, *, full: bool, has_ended: bool
) -> tuple[IOStream, DetachedStream | None]:
    """Return an `IOStream` on the socket of `transport`; `rest` is read before the socket's own data.

    With TLS the transport has the keys, so it continues to read and write, and the stream is one end of a
    socket pair: then there is no DetachedStream to be told that the transport has released the socket. Behind
    a stream that is closed, the client may take nothing for `timeout` seconds.
    """
    if transport.is_closing():
        stream = IOStream(socket.socket())  # the client is gone: as in Tornado, a closed stream
        stream.close()
        return stream, None
    if transport.get_extra_info("ssl_object") is None:
        sock = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        detached = DetachedStream(sock, rest, handed_over=not transport.get_write_buffer_size())
        transport.pause_reading()
        transport.close()
        return detached, detached
    ours, theirs = socket.socketpair()
    inward, outward = _SecurePump(rest, ours, timeout, full=full, has_ended=has_ended), _Pump()
    inward.peer, outward.peer = outward, inward
    inward.connection_made(transport)
    transport.set_protocol(inward)

    async def connect() -> None:
        loop = asyncio.get_running_loop()
        pair, _ = await loop.create_connection(lambda: outward, sock=ours)
        outward.attach(transport)
        inward.attach(pair)
        if inward.full:  # from what HTTP has written: the transport says so only once
            pair.pause_reading()

    task = asyncio.get_running_loop().create_task(connect())
    inward.keep = task  # type: ignore[attr-defined]  # a task without a reference may be collected
    return IOStream(theirs), None
