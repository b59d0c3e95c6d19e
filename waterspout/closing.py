"""Which connections have had their last request. Leaf.

After an error reply, `Connection: close`, or an HTTP/1.0 request, nothing more on a connection may be run
(RFC 9112 section 9.6): what stands behind it may be the second half of a smuggled request. Tornado reads on
from what it has buffered, and would run it.
"""

from __future__ import annotations

import weakref
from typing import Any

from tornado.httputil import HTTPHeaders

#: By the context object, which Tornado makes for each connection and hands to each of its requests.
_closing: weakref.WeakSet[Any] = weakref.WeakSet()


def close_behind(connection: Any) -> None:
    """Let this be the last request of its connection."""
    context = getattr(connection, "context", None)
    if context is not None:
        _closing.add(context)


def may_serve(connection: Any, version: str, headers: HTTPHeaders) -> bool:
    """Whether a request that has just come may be run; False behind the last one of its connection."""
    if getattr(connection, "context", None) in _closing:
        return False
    options = headers.get("Connection", "").lower()
    if "close" in options or (version == "HTTP/1.0" and "keep-alive" not in options):
        close_behind(connection)
    return True
