"""Slow clients never own lanes: which request may have a lane before its body is whole, and which client is
cut when others wait for the lane, or for the room on disk, that it holds.

A client is slow when it takes longer than `STRETCH_TIME` for a `STRETCH`. The rules:

* A request that its client has not finished sending gets a lane if the client is brisk; or if a lane is
  idle, and the client waits for 100 Continue, or has paused for so long that it may be waiting for an
  answer. Such requests get at most half of the lanes. The others' bodies are spooled first.
* A reply goes straight to its client, at the client's pace. While others wait for a lane, it is spooled.
* While others wait, the slowest clients that a lane waits for, or that fill the spool, are cut.
* A request whose body stands still because the spool has no room for it is parked: it waits, no longer than
  others do for a lane, until it may have one of those, before any newcomer, or the body moves on.

Clients are checked every `SLOW_LOOK` seconds, and not at all while none of them can be slow.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from waterspout.limits import (
    BODY_PAUSE,
    EXPECT_PATIENCE,
    SLOW_LOOK,
    SLOW_LOOK_CLIENTS,
    SLOW_SAID_PAUSE,
    STRETCH_TIME,
    STRETCH_TIME_FULL,
    UPLOAD_STALL,
)
from waterspout.logs.tallying import SpokenTally
from waterspout.system.descriptors import describe_limit
from waterspout.wsgi.exchange.pace import Pace
from waterspout.wsgi.exchange.spool import SpoolSpace

if TYPE_CHECKING:
    from waterspout.wsgi.exchange.slow import SlowClient
    from waterspout.wsgi.pool.pool import Pool

logger = logging.getLogger("waterspout.wsgi")


class Admission:
    """For one `pool`. `lanes`: how many it has. `reply_limit`: bytes of one reply that may be spooled.

    Attributes: `cut`, how many clients were cut so far for being too slow while others waited.
    """

    def __init__(self, pool: Pool, lanes: int, space: SpoolSpace, reply_limit: int) -> None:
        self._pool = pool
        self._lanes = lanes
        self._most_unfinished = max(1, lanes // 2)
        self.space = space
        self.reply_limit = reply_limit
        self._collecting: dict[SlowClient, Pace] = {}
        self._unfinished: dict[SlowClient, Pace] = {}
        self._readers: dict[SlowClient, Pace] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.cut = 0
        self._cuts = SpokenTally(SLOW_SAID_PAUSE, _say_cut)
        self._unspooled = SpokenTally(SLOW_SAID_PAUSE, self._say_unspooled)
        self._failure: OSError | None = None

    # -- exchanges call these ----------------------------------------------------------------------------

    def enter(self, client: SlowClient) -> None:
        """A request whose body is not whole, and may take long to arrive."""
        self._collecting[client] = Pace(self._now())
        if client.expects_continue and self._is_lane_idle and self._has_place:
            self._run(self._find_stalled() or client)
        self._look_soon()

    def advance(self, client: SlowClient) -> None:
        """More of its body has arrived."""
        pace = self._collecting[client]
        pace.observe(self._now(), client.received)
        while pace.is_brisk and self._has_place and client in self._collecting:
            self._run(self._find_stalled() or client)

    def leave(self, client: SlowClient) -> None:
        """Its body is whole, or it is over."""
        self._collecting.pop(client, None)
        self._unfinished.pop(client, None)

    def watch(self, client: SlowClient) -> None:
        """It takes its reply more slowly than the app sends it."""
        if client not in self._readers:
            self._readers[client] = Pace(self._now(), client.taken)
            self._look_soon()
        if self.is_pressed:
            client.spool_reply()

    def forget(self, client: SlowClient) -> None:
        """It is over."""
        self.leave(client)
        self._readers.pop(client, None)

    def say_rest(self) -> None:
        """The pool stops: log what was counted and not logged yet."""
        self._cuts.say_rest()
        self._unspooled.say_rest()

    def say_unspooled(self, error: OSError) -> None:
        """Spooling a reply failed: its client holds the lane, unless it is cut because others wait."""
        self._failure = error
        self._unspooled.count()

    @property
    def is_pressed(self) -> bool:
        """Others wait for a lane."""
        return self._pool.lacking > 0

    # -- periodically ------------------------------------------------------------------------------------

    def _look(self) -> None:
        self._timer = None
        try:
            self._look_at_all(self._now())
        finally:
            # Whatever failed for one client, the others still have to be checked.
            if self._collecting or self._unfinished or self._readers:
                self._look_soon()

    def _look_at_all(self, now: float) -> None:
        for client, pace in list(self._collecting.items()):
            self._look_at_body(client, pace, now)
        for client, pace in self._unfinished.items():
            pace.observe(now, client.received)
            if not client.is_starving:
                pace.excuse(now)
        for client, pace in list(self._readers.items()):
            pace.observe(now, client.taken)
            if not client.is_behind:
                pace.excuse(now)
            elif pace.waited(now) > client.write_timeout:
                client.cut_slow()
            elif client.is_held_up and self.is_pressed:
                client.spool_reply()
        self._free_lanes(now)
        self._free_space(now)

    def _look_at_body(self, client: SlowClient, pace: Pace, now: float) -> None:
        pace.observe(now, client.received)
        if client.wants_space:
            pace.excuse(now)
        if client.expects_continue and pace.waited(now) > EXPECT_PATIENCE:
            pace = self._collecting[client] = Pace(now, client.received)
            client.say_continue()
        if self._has_place and self._may_run(client, pace, now):
            self._run(client)
        elif client.wants_space and pace.paused(now) > UPLOAD_STALL:
            client.park()
        else:
            client.unpark()

    def _may_run(self, client: SlowClient, pace: Pace, now: float) -> bool:
        if client.wants_space or self._is_brisk(pace, now):
            return True
        # If it would take the only lane, wait longer: a client that merely sends slowly can hardly be told
        # from one that waits for an answer.
        pause = BODY_PAUSE if self._most_unfinished < self._lanes else STRETCH_TIME
        return self._is_lane_idle and (client.expects_continue or pace.paused(now) > pause)

    def _free_lanes(self, now: float) -> None:
        """While others wait for a lane: of the lanes that wait for a client, free those of the slowest."""
        others = self._pool.lacking + sum(self._is_brisk(pace, now) for pace in self._collecting.values())
        if others:
            slow = [(pace, client) for client, pace in self._unfinished.items() if client.is_starving]
            for client, pace in self._readers.items():
                if client.is_held_up and not client.waits_for_disk:
                    slow.append((pace, client))
            self._cut_slowest(slow, others, STRETCH_TIME, now)

    def _free_space(self, now: float) -> None:
        """While others wait for room on disk: of the clients that take some, cut the slowest."""
        if not self.space.is_exhausted:
            return
        everybody = [*self._collecting.items(), *self._unfinished.items(), *self._readers.items()]
        wanting = [client for client, _ in everybody if client.wants_space]
        if any(client in self._collecting for client in wanting) or (wanting and self._pool.lacking):
            taking = [(pace, client) for client, pace in everybody if client.takes_space]
            self._cut_slowest(taking, max(1, self._pool.lacking), STRETCH_TIME_FULL, now)
        for client in wanting:
            client.settle()

    def _cut_slowest(
        self, clients: list[tuple[Pace, SlowClient]], most: int, patience: float, now: float
    ) -> None:
        late: dict[SlowClient, float] = {}  # one that both sends and takes too slowly counts once
        for pace, client in clients:
            waited = pace.waited(now)
            if waited > patience:
                late[client] = max(waited, late.get(client, waited))
        slowest = sorted(late, key=late.__getitem__, reverse=True)[:most]
        for client in slowest:
            self.cut += 1
            client.cut_slow()
        if slowest:
            self._cuts.count(len(slowest))

    def _say_unspooled(self, unsaid: int, is_rest: bool) -> None:
        logger.error(
            "replies can't be spooled (%d since the last such line): %s; slow clients keep their lanes, and "
            "are cut off while others wait for one%s",
            unsaid,
            self._failure,
            (self._failure and describe_limit(self._failure)) or " (TMPDIR)",
        )

    # -- helpers -----------------------------------------------------------------------------------------

    def _run(self, client: SlowClient) -> None:
        del self._collecting[client]
        self._unfinished[client] = Pace(self._now(), client.received)
        client.run_unfinished()

    def _find_stalled(self) -> SlowClient | None:
        """Who has waited longest of those whose bodies stand still for want of space: before any newcomer, it
        has the next place.
        """
        if not self.space.is_exhausted:
            return None
        return next((client for client in self._collecting if client.wants_space), None)

    @property
    def _has_place(self) -> bool:
        """Fewer lanes than allowed run requests whose bodies are not whole."""
        return len(self._unfinished) < self._most_unfinished

    @property
    def _is_lane_idle(self) -> bool:
        return not self._pool.lacking and self._pool.has_idle_lane

    def _look_soon(self) -> None:
        if self._timer is None:
            many = len(self._collecting) + len(self._unfinished) + len(self._readers)
            pause = SLOW_LOOK * max(1.0, many / SLOW_LOOK_CLIENTS)
            self._timer = asyncio.get_running_loop().call_later(pause, self._look)

    @staticmethod
    def _is_brisk(pace: Pace, now: float) -> bool:
        return pace.is_brisk and not pace.is_late(now)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _say_cut(unsaid: int, is_rest: bool) -> None:
    logger.warning(
        "slow clients were cut off (%d since the last such line), because others waited for a lane or "
        "for room in the spool (--wsgi-threads, --wsgi-spool)",
        unsaid,
    )
