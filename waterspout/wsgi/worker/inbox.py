"""What has arrived on a lane for the request that runs on it. Leaf."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Inbox:
    """One request's share of its lane.

    Attributes: `pieces`, body bytes not yet read; `ended`, nothing follows them; `cancelled`, why nobody
    waits for the reply any more, or ""; `client_eof`, the client sends no more: it may have left; `is_raw`,
    the view has taken the connection over, and alone listens to the lane.
    """

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.cancelled = ""
        self.client_eof = False
        self.is_raw = False

    @property
    def is_empty(self) -> bool:
        """No unread part of the body is here, and more may come."""
        return not (self.pieces or self.ended or self.cancelled)


class Lane(Protocol):
    """A lane as seen by the parts of one request: wsgi.input, `RawSocket` and `Presence`."""

    inbox: Inbox

    def receive(self, inbox: Inbox | None = None) -> None:
        """Wait for what comes next, unless `inbox` has something. Raises LaneClosed: only without `inbox`;
        Forked.
        """

    def ask(self, credit: int) -> None:
        """Request `credit` more bytes of the body. Raises Forked."""

    def say(self, frames: bytes) -> bool:
        """Send for a view that has taken its connection over. False: the client is gone, or the lane is."""

    def fileno(self) -> int:
        """The descriptor of its socket."""

    def look(self) -> None:
        """Take in what has arrived since; never wait, never raise."""
