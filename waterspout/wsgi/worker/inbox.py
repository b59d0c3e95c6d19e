"""What has come down a lane for the request that runs on it. Leaf."""

from __future__ import annotations

from collections import deque
from typing import Protocol


class Inbox:
    """One request's share of its lane.

    Attributes: `pieces`, body bytes not yet read; `ended`, nothing follows them; `cancelled`, nobody waits
    for the reply, and why; `client_eof`, the client sends no more: it may have left.
    """

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.cancelled = ""
        self.client_eof = False

    @property
    def is_empty(self) -> bool:
        """Nothing of the body is here, and more may come."""
        return not (self.pieces or self.ended or self.cancelled)


class Lane(Protocol):
    """A lane, as what belongs to one request sees it: wsgi.input, and whether its client is there."""

    inbox: Inbox

    def receive(self, inbox: Inbox | None = None) -> None:
        """Wait for what comes next, unless `inbox` has something; without `inbox` LaneClosed is raised."""

    def ask(self, credit: int) -> None:
        """Let `credit` more bytes of the body come."""

    def look(self) -> None:
        """Take in what has come since; never wait, never raise."""
