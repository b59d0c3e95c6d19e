"""`ws_connection.stream`: what handlers and libraries use of Tornado's `WebSocketProtocol.stream`."""

from __future__ import annotations

from typing import Any, Protocol

from tornado.ioloop import IOLoop


class Shown(Protocol):
    """What is shown here: a `WebSocketProtocol`."""

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

    def closed(self) -> bool:
        return self._protocol.socket is None

    def close(self, exc_info: Any = False) -> None:
        """Close at once, without a close frame."""
        self._protocol.on_connection_close()

    def set_nodelay(self, value: bool) -> None:
        self._protocol.set_nodelay(value)
