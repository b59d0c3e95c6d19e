"""A socket and its TLS in one, as `ssl.SSLSocket` is both. Leaf."""

from __future__ import annotations

from asyncio import BaseTransport
from typing import Any


def find_socket(transport: BaseTransport) -> Any:
    """The socket of a transport, for its names and options; for TLS, with `getpeercert` and the like."""
    sock = transport.get_extra_info("socket")
    secure = transport.get_extra_info("ssl_object")
    return sock if secure is None else _SecureSocket(sock, secure)


class _SecureSocket:
    def __init__(self, sock: Any, secure: Any) -> None:
        self._sock = sock
        self._secure = secure

    def __getattr__(self, name: str) -> Any:
        of_socket = hasattr(self._sock, name)
        return getattr(self._sock if of_socket else self._secure, name)
