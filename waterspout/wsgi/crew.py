"""Lane workers that live and die together: the threads of one process, this one or another."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from waterspout.limits import EXIT_GRACE
from waterspout.wsgi.lane import Lane
from waterspout.wsgi.loading import WSGIApp, load_app

#: Pause before a lost lane is opened again (seconds).
_REPLACE_AFTER: Final = 0.2
#: How often, and how often again (seconds), a full control channel is tried.
_HAND_OVER_TRIES: Final = 500
_HAND_OVER_PAUSE: Final = 0.01


@dataclass(frozen=True)
class CrewSpec:
    """What a crew runs: `target` an import string or a WSGI callable, on `threads` lanes.

    `multithread`, `multiprocess`: crews of other pools run the app in this process, or in others. `load`
    loads it in this process. `pool`: the name of its pool, if there are others.
    """

    target: str | Callable[..., Any]
    threads: int
    debug: bool = False
    multiprocess: bool = False
    multithread: bool = False
    load: Callable[..., WSGIApp] = load_app
    pool: str = ""


@dataclass
class CrewEvents:
    """Whom a crew tells what: a lane became free; the crew is gone; a view has published."""

    on_idle: Callable[[Crew, Lane], None]
    on_gone: Callable[[Crew], None]
    on_publish: Callable[[str, bytes], None] = field(default=lambda topic, message: None)


class Crew:
    """Common to both forms: lanes are opened here, and their far ends handed over by `_hand_over`.

    Attributes: `idle`, lanes that can take a request; `busy`, how many run one; `started`, requests so far;
    `ready_at`, since when it can take any, by the event loop's clock.
    """

    def __init__(self, spec: CrewSpec, events: CrewEvents) -> None:
        self.spec = spec
        self.idle: deque[Lane] = deque()
        self.started = 0
        self.ready_at = 0.0
        self._events = events
        self._lanes: set[Lane] = set()
        self._replacing: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def busy(self) -> int:
        return len(self._lanes) - len(self.idle)

    @property
    def pid(self) -> int | None:
        """The process that its threads are of."""
        return os.getpid()

    def __str__(self) -> str:
        return self._title + (f" of pool {self.spec.pool}" if self.spec.pool else "")

    @property
    def _title(self) -> str:
        """What it is, for the log."""
        return "threads"

    async def start(self) -> None:
        """Load the app and open the lanes. Raises TargetNotFound, TargetRaised."""
        raise NotImplementedError

    async def stop(self, grace: float = EXIT_GRACE) -> None:
        """Close the lanes; a process that has not ended `grace` seconds later is killed."""
        raise NotImplementedError

    def _hand_over(self, far_end: socket.socket) -> None:
        """Give the worker's end of a new lane to a new lane worker."""
        raise NotImplementedError

    async def _open_lanes(self, count: int) -> None:
        for _ in range(count):
            await self._open_lane()

    async def _open_lane(self) -> None:
        near_end, far_end = socket.socketpair()
        near_end.setblocking(False)
        loop = asyncio.get_running_loop()
        lane = Lane(self._on_lane_idle, self._on_lane_lost)
        try:
            await loop.create_unix_connection(lambda: lane, sock=near_end)
            await self._hand_over_patiently(far_end)
        except BaseException:  # cancelled, too: a pool may be stopped while it starts
            lane.close()
            far_end.close()
            raise
        self._lanes.add(lane)
        self._on_lane_idle(lane)

    async def _hand_over_patiently(self, far_end: socket.socket) -> None:
        """A control channel holds a few dozen descriptors at a time; the worker is taking them."""
        for _ in range(_HAND_OVER_TRIES):
            try:
                self._hand_over(far_end)
                return
            except BlockingIOError:
                await asyncio.sleep(_HAND_OVER_PAUSE)
        self._hand_over(far_end)

    def _close_lanes(self) -> None:
        self._stopping = True
        for task in self._replacing:
            task.cancel()
        self.idle.clear()
        for lane in list(self._lanes):
            lane.close()

    def _on_lane_idle(self, lane: Lane) -> None:
        if not self._stopping:
            self._events.on_idle(self, lane)

    def _on_lane_lost(self, lane: Lane) -> None:
        """A lane worker ended without being told to: give its crew another, if the crew itself lives."""
        self._lanes.discard(lane)
        if lane in self.idle:
            self.idle.remove(lane)
        if not self._stopping:
            task = asyncio.get_running_loop().create_task(self._replace_lane())
            self._replacing.add(task)
            task.add_done_callback(self._replacing.discard)

    async def _replace_lane(self) -> None:
        # When a process dies its lanes close first; a moment later the crew is known to be gone.
        await asyncio.sleep(_REPLACE_AFTER)
        with contextlib.suppress(OSError):
            if not self._stopping:
                await self._open_lane()
