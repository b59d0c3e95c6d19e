"""Whether the client still waits for a reply, for WSGI code that asks. No event loop, no Tornado."""

from __future__ import annotations

from collections.abc import Mapping
from threading import get_ident
from typing import Any, Final

from waterspout.wsgi.worker.inbox import Lane

#: Where a request's environ holds its `Presence`.
KEY: Final = "waterspout.lane"


class Presence:
    """Whether the client of one request is still there. Created in the thread that serves its lane."""

    __slots__ = ("_inbox", "_lane", "_thread")

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._inbox = lane.inbox
        self._thread = get_ident()

    def is_client_there(self) -> bool:
        """As far as is known. New input is read only in the thread that serves the lane, and only while it
        runs this request.
        """
        inbox, lane = self._inbox, self._lane
        if self._thread == get_ident() and lane.inbox is inbox:
            lane.look()
        return not inbox.cancelled and not inbox.client_eof


def client_alive(environ: Mapping[str, Any]) -> bool:
    """Whether the client of this request still waits for its reply.

    False: it left, or was answered otherwise (its body is too large), or it has closed its sending side,
    which looks the same until something is written to it. A view may then stop; what it returns reaches the
    client only if that has merely stopped sending. Until a view begins to read a large body, the unread data
    hides that the client has left.

    Never blocks, and consumes nothing of the body. Takes about two microseconds in the thread that the view
    was called in; in any other, such as that of an async Flask view, it returns what that thread knew last.
    True outside Waterspout, where this is unknown.
    """
    presence: Presence | None = environ.get(KEY)
    return presence is None or presence.is_client_there()
