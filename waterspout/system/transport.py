"""A transport whose event loop is closed, and can't close it any more. Leaf."""

from __future__ import annotations

import contextlib
import socket
from typing import Any


def close_transport(transport: Any) -> None:
    """Close the socket below it; of TLS only the connection is ended. Harmless when that has been done."""
    sock = getattr(transport, "_sock", None)  # asyncio has no public name for it; uvloop closes its own
    if sock is not None:
        transport._sock = None  # or it says, when it is collected, that it was forgotten
        sock.close()
    elif transport is not None and (sock := transport.get_extra_info("socket")) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
