"""What transports don't tell, and those that can't end by themselves, or not at once. Leaf."""

from __future__ import annotations

import contextlib
import socket
from typing import Any


def find_descriptor(transport: Any) -> int:
    """The descriptor of its socket; -1: it is closed, or has none."""
    sock = transport.get_extra_info("socket")
    return -1 if sock is None else int(sock.fileno())


def send_end(transport: Any) -> None:
    """Tell the client at this moment, without TLS, that nothing more is sent: uvloop's `write_eof` waits for
    the loop's next turn. Nothing may be unsent.
    """
    _shut_down(transport, socket.SHUT_WR)


def shut_down_writing(transport: Any) -> None:
    """Send EOF after what was written.

    A client that is gone may have reset the connection in answer to the last write: asyncio's transport then
    raises here, in the writer's call, and learns of it a moment later. There is nobody to report it to.
    """
    if transport.can_write_eof():
        with contextlib.suppress(OSError):
            transport.write_eof()


def close_transport(transport: Any) -> None:
    """Close the socket of one whose event loop is closed; with TLS, only shut down the connection. May be
    called again.
    """
    sock = getattr(transport, "_sock", None)  # asyncio has no public name for it; uvloop closes its own
    if sock is not None:
        transport._sock = None  # or it warns, when collected, that it was not closed
        sock.close()
    elif transport is not None:
        _shut_down(transport, socket.SHUT_RDWR)


def _shut_down(transport: Any, how: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # it may be closed, or no socket
        sock = socket.socket(fileno=transport.get_extra_info("socket").fileno())
        try:
            sock.shutdown(how)
        finally:
            sock.detach()  # it is the transport's
