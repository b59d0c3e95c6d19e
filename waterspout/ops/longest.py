"""Which of a pool's requests have been running longest: for the figures and for the log. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from typing import Protocol, TypeVar


class RecordLike(Protocol):
    """The part of an exchange record that is read here. `started`: of `time.perf_counter()`."""

    request_id: str
    started: float | None


class LaneLike(Protocol):
    """A lane. `view`: method and path of what it runs, or was the last to run."""

    busy: bool

    @property
    def record(self) -> RecordLike: ...

    @property
    def view(self) -> str: ...


LaneT = TypeVar("LaneT", bound=LaneLike)


def find_longest(lanes: Iterable[LaneT], most: int) -> list[LaneT]:
    """The lanes that run something, whose it is the longest first; so many at most."""
    running = [lane for lane in lanes if lane.busy and lane.record.started is not None]
    return nsmallest(most, running, key=lambda lane: lane.record.started or 0.0)
