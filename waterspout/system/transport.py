"""A transport whose event loop is closed and can no longer close it. Leaf."""

from __future__ import annotations

import contextlib
import socket
from typing import Any


def close_transport(transport: Any) -> None:
    """Close the socket below it; with TLS, only shut down the connection. May be called again."""
    sock = getattr(transport, "_sock", None)  # asyncio has no public name for it; uvloop closes its own
    if sock is not None:
        transport._sock = None  # or it warns, when collected, that it was not closed
        sock.close()
    elif transport is not None and (sock := transport.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
