"""Which connections have had their last request. Leaf.

After an error reply or `Connection: close` nothing more on a connection may be run (RFC 9112 section 9.6):
what follows may be the second half of a smuggled request. Tornado continues to read what it has buffered,
even from a closed stream, and would run it, with nothing to report that the client is gone.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import weakref
from typing import Any, Final

from tornado.httputil import HTTPHeaders

#: struct linger of SO_LINGER: on, 0 seconds.
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
#: By the context object, which Tornado makes for each connection and hands to each of its requests.
_closing: weakref.WeakSet[Any] = weakref.WeakSet()


def close_behind(connection: Any) -> None:
    """Make this the last request of its connection."""
    context = getattr(connection, "context", None)
    if context is not None:
        _closing.add(context)


def may_serve(connection: Any) -> bool:
    """Whether a request that has just arrived may be run."""
    stream = getattr(connection, "stream", None)
    is_closed = stream is not None and stream.closed()
    return not is_closed and getattr(connection, "context", None) not in _closing


def cut_reply(connection: Any, *, is_delimited: bool, at_once: bool = False) -> None:
    """Close in the middle of a reply, so that the client can tell: never a clean end.

    On Tornado's server: `is_delimited`, the reply has a length, or is chunked; `at_once`, don't wait for what
    was written to go out.
    """
    if hasattr(connection, "cut"):  # our own
        if at_once:
            connection.reset()
        else:
            connection.cut()
        return
    stream = connection.stream
    if stream is None or stream.closed():
        return
    if at_once or not is_delimited:
        # A FIN would be a clean end here; a reset is not.
        with contextlib.suppress(OSError):  # macOS: EINVAL, the client has left
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    stream.close()


def wants_close(headers: HTTPHeaders) -> bool:
    """Whether the client says `close` among other options (`TE, close`), which Tornado does not see."""
    value = headers.get("Connection", "").lower()
    return "," in value and "close" in (option.strip() for option in value.split(","))
