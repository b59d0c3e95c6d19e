"""Which of a pool's requests have been running longest: for the figures and for the log."""

from __future__ import annotations

import time
from collections.abc import Iterable
from heapq import nsmallest

from waterspout.wsgi.lane import Lane


def find_longest(lanes: Iterable[Lane], most: int) -> list[Lane]:
    """The lanes that run something, whose it is the longest first; so many at most."""
    running = [lane for lane in lanes if lane.busy and lane.record.started is not None]
    return nsmallest(most, running, key=lambda lane: lane.record.started or 0.0)


def describe_longest(lanes: Iterable[Lane]) -> str:
    """For a line of the log."""
    longest = find_longest(lanes, 1)
    if not longest:
        return "nothing runs"
    (lane,) = longest
    age = time.perf_counter() - (lane.record.started or 0.0)
    return f"the longest-running is {lane.view}, for {age:.0f} s"
