"""What the peer of a connection has done that the event loop has not read yet. Leaf."""

from __future__ import annotations

import select
from typing import Any, Final

#: Both say that no more will come; macOS has only the second, and Windows has no poll(2).
_EVENTS: Final[int] = getattr(select, "POLLRDHUP", getattr(select, "POLLHUP", 0))
_READABLE: Final[int] = getattr(select, "POLLIN", 0)


def has_hung_up(sock: Any) -> bool:
    """The peer has closed its sending side, or the connection. False also if unknown.

    An event loop tells this only when all that came before has been read.
    """
    return _look(sock, _EVENTS)


def is_readable(sock: Any) -> bool:
    """Something has come from the peer, or its end. False also if unknown."""
    return _look(sock, _READABLE)


def has_closed(sock: Any) -> bool:
    """The other end of a socket pair is closed: a write would fail. False also if unknown."""
    return _look(sock, 0)


def _look(sock: Any, events: int) -> bool:
    try:
        poller = select.poll()
        poller.register(sock, events)
        return bool(poller.poll(0))
    except (AttributeError, OSError, TypeError, ValueError):  # no poll(2); or it is closed, or no socket
        return False
