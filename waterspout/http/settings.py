"""Settings of our `HTTPServer` for which Tornado's has no arguments."""

from __future__ import annotations

from dataclasses import dataclass

from waterspout import limits
from waterspout.http.head import HeadLimits


@dataclass(frozen=True)
class HTTPSettings:
    """Times in seconds, sizes in bytes, rates in bytes a second."""

    head: HeadLimits = HeadLimits()  # noqa: RUF009 - an immutable value
    head_timeout: float = limits.HEAD_TIMEOUT
    keep_alive_timeout: float = limits.KEEP_ALIVE_TIMEOUT
    body_timeout: float = limits.BODY_TIMEOUT
    body_rate: float = limits.BODY_RATE
    write_timeout: float = limits.WRITE_TIMEOUT
    write_rate: float = limits.WRITE_RATE
    write_grace: float = limits.WRITE_GRACE  # how long a client may lag behind that rate

    @property
    def shortest(self) -> float:
        """The shortest of the times."""
        return min(self.head_timeout, self.keep_alive_timeout, self.body_timeout, self.write_timeout)
