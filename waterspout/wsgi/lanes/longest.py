"""Which of a pool's requests have been running longest: for the figures and for the log."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from heapq import nsmallest

from waterspout.wsgi.lanes.lane import Lane


def find_longest(lanes: Iterable[Lane], most: int) -> list[Lane]:
    """The lanes that run something, the longest-running first; `most` of them at most."""
    running = [lane for lane in lanes if lane.busy and lane.record.started is not None]
    return nsmallest(most, running, key=lambda lane: lane.record.started or 0.0)


def describe_running(lanes: Iterable[Lane], most: int = 3) -> str:
    """The requests that have been running longest, and how many others, for a log line."""
    running = find_longest(lanes, sys.maxsize)
    if not running:
        return "nothing"
    named = ", ".join(f"{lane.view} for {lane.seconds:.0f} s" for lane in running[:most])
    return named + (f" and {len(running) - most} more" if len(running) > most else "")


def describe_longest(lanes: Iterable[Lane]) -> str:
    """The request that has been running longest, and what several lanes run, for a log line."""
    running = find_longest(lanes, sys.maxsize)
    if not running:
        return "nothing is running"
    longest = f"the longest-running is {running[0].view}, for {running[0].seconds:.0f} s"
    ((view, times),) = Counter(lane.view for lane in running).most_common(1)
    return longest + (f"; {times} lanes run {view}" if times > 1 else "")
