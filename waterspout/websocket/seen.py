"""`ws_connection.stream`: what handlers and libraries use of Tornado's `WebSocketProtocol.stream`."""

from __future__ import annotations

import math
from typing import Any, Protocol

from tornado.ioloop import IOLoop


class Shown(Protocol):
    """What is shown here: a `WebSocketProtocol`."""

    write_limit: int | None

    @property
    def unsent(self) -> int: ...

    @property
    def socket(self) -> Any:
        """None: it is closed."""

    def on_connection_close(self) -> None: ...

    def set_nodelay(self, x: bool) -> None: ...


class SeenStream:
    """The connection of a WebSocket, as an `IOStream` shows one. It is made on demand, and so costs an idle
    WebSocket nothing.
    """

    __slots__ = ("_protocol",)

    def __init__(self, protocol: Shown) -> None:
        self._protocol = protocol

    @property
    def socket(self) -> Any:
        """None: it is closed."""
        return self._protocol.socket

    @property
    def io_loop(self) -> IOLoop:
        return IOLoop.current()

    @property
    def max_write_buffer_size(self) -> int | None:
        """How many bytes may be unsent; None: any number. A message that would exceed it raises
        StreamBufferFullError.
        """
        return self._protocol.write_limit

    @max_write_buffer_size.setter
    def max_write_buffer_size(self, size: int | None) -> None:
        self._protocol.write_limit = size

    @property
    def max_buffer_size(self) -> float:
        """Means nothing, and may be set: `max_message_size` limits what is read."""
        return math.inf

    @max_buffer_size.setter
    def max_buffer_size(self, size: int) -> None:
        pass

    def writing(self) -> bool:
        """Whether something has not been taken by the kernel."""
        return self._protocol.unsent > 0

    def closed(self) -> bool:
        return self._protocol.socket is None

    def close(self, exc_info: Any = False) -> None:
        """Close at once, without a close frame."""
        self._protocol.on_connection_close()

    def set_nodelay(self, value: bool) -> None:
        self._protocol.set_nodelay(value)
