"""Transports that can't end by themselves. Leaf."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import Any


def abort_if_stuck(transport: Any) -> None:
    """The client's side of TLS has ended, and `transport` is about to close behind what is unsent. From
    Python 3.12 on, asyncio then calls nothing (None) to write it, again and again: give it up instead.
    """
    is_asyncio_s = type(transport).__module__ == "asyncio.sslproto"
    if is_asyncio_s and sys.version_info >= (3, 12) and transport.get_write_buffer_size():
        transport.abort()


def close_transport(transport: Any) -> None:
    """Close the socket of one whose event loop is closed; with TLS, only shut down the connection. May be
    called again.
    """
    sock = getattr(transport, "_sock", None)  # asyncio has no public name for it; uvloop closes its own
    if sock is not None:
        transport._sock = None  # or it warns, when collected, that it was not closed
        sock.close()
    elif transport is not None and (sock := transport.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
