"""A path that is written otherwise: its reply."""

from __future__ import annotations

from waterspout.native.handler import LeanRequestHandler


class MovedHandler(LeanRequestHandler):
    """Sends whoever asks to `location`, with the same method and body (308, RFC 9110 section 15.4.9)."""

    def initialize(self, location: str) -> None:
        self._location = location

    def prepare(self) -> None:
        self.redirect(self._location, status=308)
