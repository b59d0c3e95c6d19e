"""What is being measured, and how long the rest will take."""

from __future__ import annotations

import sys
import time


def format_duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes >= 2 else f"{max(0, round(seconds))} s"


class Progress:
    """Turns that are done, against the seconds that were planned for all of them."""

    def __init__(self, planned: float) -> None:
        self.planned = planned
        self.done = 0.0
        self.started = time.monotonic()

    def estimate(self) -> float:
        """Seconds left; turns so far tell how the plan is to be stretched."""
        stretch = (time.monotonic() - self.started) / self.done if self.done else 1.0
        return (self.planned - self.done) * stretch

    def begin(self, what: str) -> None:
        print(f"{what} ... ", end="", file=sys.stderr, flush=True)

    def end(self, figure: str, planned: float) -> None:
        self.done += planned
        print(f"{figure}  (about {format_duration(self.estimate())} left)", file=sys.stderr, flush=True)
