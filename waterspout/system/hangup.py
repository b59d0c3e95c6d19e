"""Whether the peer of a connection has hung up behind bytes that have not been read. Leaf."""

from __future__ import annotations

import select
from typing import Any, Final

#: Both say that no more will come; macOS has only the second, and Windows has no poll(2).
_EVENTS: Final[int] = getattr(select, "POLLRDHUP", getattr(select, "POLLHUP", 0))


def has_hung_up(sock: Any) -> bool:
    """The peer has closed its sending side, or the connection. False also if unknown.

    An event loop tells this only when all that came before has been read.
    """
    try:
        poller = select.poll()
        poller.register(sock, _EVENTS)
        return bool(poller.poll(0))
    except (AttributeError, OSError, TypeError, ValueError):  # no poll(2); or it is closed, or no socket
        return False
