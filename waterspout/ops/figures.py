"""What one pool counts: its requests, how long they waited and ran, and the server's own answers. Leaf."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final, Protocol

from waterspout.ops.quantiles import Durations

#: Reported even if there were none: what an operator looks for.
_ALWAYS_TOLD: Final = (502, 503, 504)


class Timed(Protocol):
    """The part of an exchange record that is counted: `time.perf_counter()` seconds."""

    submitted: float
    started: float | None


class Figures:
    """Counts since the pool was created. `answers`: the server's own replies, by status; a 502 from the app
    itself is not one of them.
    """

    __slots__ = ("_run", "_wait", "answers")

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self._wait = Durations()
        self._run = Durations()

    def finish(self, record: Timed) -> None:
        """Count a request whose reply is complete, or never will be. Not counted if no lane took it."""
        started = record.started
        if started is not None:
            now = time.perf_counter()
            self._wait.add(started - record.submitted, now)
            self._run.add(now - started, now)

    def tell(self) -> dict[str, Any]:
        """For JSON; times in seconds."""
        now = time.perf_counter()
        told = {str(status): self.answers[status] for status in sorted({*_ALWAYS_TOLD, *self.answers})}
        return {
            "finished": self._run.count,
            "answers": told,
            "wait": self._wait.summarize(now),
            "run": self._run.summarize(now),
        }
