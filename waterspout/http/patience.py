"""How long one connection's client may take. No timer: the server checks from time to time."""

from __future__ import annotations

from waterspout.http.settings import HTTPSettings
from waterspout.http.writer import Writer


class Patience:
    """What the server waits for a client to do, and since when. All times are the server's, in seconds."""

    __slots__ = (
        "_credit",
        "_deadline",
        "_heard",
        "_heard_at",
        "_looked",
        "_settings",
        "_slack",
        "_stalled_since",
        "_taken",
    )

    def __init__(self, settings: HTTPSettings, now: float) -> None:
        self._settings = settings
        self._heard = self._taken = 0
        self._credit = self._heard_at = 0.0
        self._slack = self._looked = self._stalled_since = 0.0
        self._deadline = now + settings.head_timeout

    def wait(self, now: float, seconds: float) -> None:
        """Wait for `seconds` from `now` on."""
        self._deadline = now + seconds

    def remains(self, now: float) -> float:
        """How much longer to wait."""
        return self._deadline - now

    def is_over(self, now: float) -> bool:
        return now > self._deadline

    def expect_body(self, now: float, received: int) -> None:
        """The client is to send more of its body; `received` bytes of it have arrived."""
        settings = self._settings
        self._heard, self._heard_at = received, now
        self._credit = settings.body_rate * settings.body_timeout
        self._deadline = now + settings.body_timeout

    def extend(self, seconds: float) -> None:
        """Don't count `seconds` in which the server itself did not read."""
        self._heard_at += seconds
        self._deadline += seconds

    def excuse(self, seconds: float) -> None:
        """Don't count `seconds` in which the server itself stood still."""
        self.extend(seconds)
        self._looked += seconds
        if self._stalled_since:
            self._stalled_since += seconds

    def is_body_late(self, now: float, received: int) -> bool:
        """A body may pause for a while, and must otherwise arrive at a minimum rate. Data that arrived faster
        makes up for one such pause at most.
        """
        settings = self._settings
        if received != self._heard:
            self._deadline = now + settings.body_timeout
        most = settings.body_rate * settings.body_timeout
        owed = settings.body_rate * (now - self._heard_at)
        self._credit = min(most, self._credit + received - self._heard - owed)
        self._heard, self._heard_at = received, now
        return now > self._deadline or self._credit < 0

    def is_stalled(self, now: float, writer: Writer) -> bool:
        """Data is on its way to the client, and for too long the client has taken none of it, or hardly any.

        It may spend a while reading what its kernel took at once: the rate is judged when something is taken.
        """
        if not writer.unsent:
            self._stalled_since = 0.0
            return False
        settings = self._settings
        most = settings.write_rate * settings.write_grace
        taken = writer.taken
        if not self._stalled_since:
            self._taken, self._slack = taken, most
            self._stalled_since = self._looked = now
        # Never less than 0: what is unsent is longer than what was written, with TLS.
        moved = max(0, taken - self._taken)
        self._slack = min(most, self._slack + moved - settings.write_rate * (now - self._looked))
        self._taken, self._looked = taken, now
        if moved > 0:
            self._stalled_since = now
            return self._slack < 0
        return now - self._stalled_since > settings.write_timeout
