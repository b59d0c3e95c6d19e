"""A Tornado `IOStream` as an asyncio transport, for the streams that Tornado's own HTTPServer hands over."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import Any, Final, cast

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

#: One read (bytes).
_READ: Final = 64 * 1024
#: Past `_HIGH` the protocol is told to pause writing, at `_LOW` to resume: asyncio's own figures (bytes).
_HIGH: Final = 64 * 1024
_LOW: Final = 16 * 1024

_NOBODY: Final = asyncio.Protocol()

_Bytes = bytes | bytearray | memoryview


class StreamTransport(asyncio.Transport):
    """Drives `protocol` from `stream`, as asyncio's own transports do: it reads from the start, and small
    writes go out at once.

    An `IOStream` closes when the client closes its sending side, so `eof_received` is never called.
    """

    __slots__ = (
        "_asks",
        "_closing",
        "_ends",
        "_held",
        "_lost",
        "_protocol",
        "_reading_paused",
        "_stream",
        "_unsent",
        "_writing_paused",
    )

    def __init__(self, stream: IOStream, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._stream = stream
        self._protocol = protocol
        self._asks = False  # a read is under way, or its result is about to be passed on
        self._held = b""  # the result of a read that was under way when reading was paused
        self._unsent = 0
        self._reading_paused = False
        self._writing_paused = False
        self._ends = False  # `write_eof` waits for what is unsent
        self._closing = False
        self._lost = False
        stream.set_nodelay(True)
        protocol.connection_made(self)
        stream.set_close_callback(self._on_stream_closed)
        self._ask()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """`socket` (which may be an SSLSocket), `ssl_object` or `peername`."""
        sock: Any = self._stream.socket
        if sock is None:
            return default
        if name == "ssl_object":
            return sock if isinstance(self._stream, SSLIOStream) else default
        if name == "peername":
            try:
                return sock.getpeername()
            except OSError:  # the client has left
                return default
        return sock if name == "socket" else default

    # -- reading -----------------------------------------------------------------------------------------

    def is_reading(self) -> bool:
        return not (self._reading_paused or self.is_closing())

    def pause_reading(self) -> None:
        self._reading_paused = True

    def resume_reading(self) -> None:
        self._reading_paused = False
        if not self._asks:
            self._asks = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._hand_on(held)
        else:
            self._ask()

    def _ask(self) -> None:
        self._asks = True
        try:
            future = cast("asyncio.Future[bytes]", self._stream.read_bytes(_READ, partial=True))
        except StreamClosedError:
            self._lose()
        else:
            future.add_done_callback(self._on_read)

    def _on_read(self, future: asyncio.Future[bytes]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._lose()
        else:
            self._hand_on(future.result())

    def _hand_on(self, data: bytes) -> None:
        if self._is_held_back():
            self._held = data
        elif not self._closing:
            self._protocol.data_received(data)
        self._asks = not self._is_held_back()
        if self._asks:
            self._ask()

    def _is_held_back(self) -> bool:
        """Once the stream is closed there is only what has already arrived: then pausing means nothing."""
        return self._reading_paused and not self._stream.closed()

    def _on_stream_closed(self) -> None:
        if not self._asks:
            self._go_on()

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        error, protocol = self._stream.error, self._protocol
        self._protocol = _NOBODY  # the protocol refers to us
        protocol.connection_lost(error if isinstance(error, Exception) else None)

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, data: _Bytes) -> None:
        if self.is_closing() or self._ends:
            return
        future = self._stream.write(bytes(data))
        if future.done():
            return
        self._unsent += len(data)
        future.add_done_callback(partial(self._on_written, len(data)))
        if self._unsent > _HIGH and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def _on_written(self, size: int, future: asyncio.Future[None]) -> None:
        self._unsent -= size
        if self._stream.closed():
            return
        if self._writing_paused and self._unsent <= _LOW:
            self._writing_paused = False
            self._protocol.resume_writing()
        self._end_when_sent()

    def get_write_buffer_size(self) -> int:
        return self._unsent

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return _LOW, _HIGH

    def can_write_eof(self) -> bool:
        return not isinstance(self._stream, SSLIOStream)

    def write_eof(self) -> None:
        self._ends = True
        self._end_when_sent()

    # -- the end -----------------------------------------------------------------------------------------

    def is_closing(self) -> bool:
        return self._closing or self._stream.closed()

    def close(self) -> None:
        """Close once everything written has gone out."""
        self._closing = True
        self._end_when_sent()

    def abort(self) -> None:
        """Close now."""
        self._closing = True
        self._stream.close()

    def _end_when_sent(self) -> None:
        if self._unsent or self._stream.closed():
            return
        if self._closing:
            self._stream.close()
        elif self._ends:
            with contextlib.suppress(OSError):  # the client has reset the connection
                self._stream.socket.shutdown(socket.SHUT_WR)
