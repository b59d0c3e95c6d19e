"""Once a second, checks everything on a pool's lanes: what takes too long, is dead, or has grown."""

from __future__ import annotations

import asyncio
import logging

from waterspout import limits
from waterspout.logs.tally import Tally
from waterspout.message.record import Record
from waterspout.wsgi.lanes.crew import Crew
from waterspout.wsgi.lanes.lane import MOVED, Lane
from waterspout.wsgi.lanes.longest import describe_longest, describe_running
from waterspout.wsgi.lanes.process import STOPPED, ProcessCrew
from waterspout.wsgi.pool.supervisor import Supervisor
from waterspout.wsgi.settings import PoolSettings

logger = logging.getLogger("waterspout.wsgi")


class Watch:
    """Checks the crews of `supervisor`. A timer for each request would cost more than it is worth.

    Attributes: `timed_out`, how many requests were answered 504, or cut, because their view took too long;
    `had_idle`, set by the pool when a lane becomes idle: since the last look not all were busy.
    """

    def __init__(self, supervisor: Supervisor, settings: PoolSettings, says: str, sized_by: str) -> None:
        self._supervisor = supervisor
        self._settings = settings
        self._interval = min(limits.WATCH_INTERVAL, settings.timeout / 4)
        self._timer: asyncio.TimerHandle | None = None
        self._crowd = Crowd(supervisor, says, sized_by)
        self.timed_out = 0
        self.had_idle = True

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._last = self._measured = self._loop.time()
        self._timer = self._loop.call_later(self._interval, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._interval, self._look)
        now = self._loop.time()
        # When the loop itself was blocked, what the lanes have sent meanwhile has not been read yet.
        passed, self._last = min(now - self._last, 2 * self._interval), now
        measure = bool(self._settings.max_rss) and now - self._measured >= limits.RSS_INTERVAL
        self._measured = now if measure else self._measured
        for crew in self._supervisor.all:
            for lane in list(crew.lanes):
                if lane.is_running and not lane.stuck:
                    self._judge_view(crew, lane, passed)
            if isinstance(crew, ProcessCrew) and crew.ready:
                self._judge_process(crew, passed)
                if measure:
                    self._judge_size(crew, now)
            # Asked at each look, since it is refused while too many others are draining. Relative to the
            # lanes that exist: a machine that is short of threads gives a crew fewer.
            if crew.stuck * 2 > min(len(crew.lanes), crew.spec.threads):
                self._supervisor.replace(crew, "more than half of its lanes are stuck")
            crew.check_drained()
        self._crowd.look(now, had_idle=self.had_idle)
        self.had_idle = False

    # -- views -------------------------------------------------------------------------------------------

    def _judge_view(self, crew: Crew, lane: Lane, passed: float) -> None:
        """Count how long it has sent nothing, starting at 0 if it has made progress since the last look."""
        lane.quiet = 0.0 if lane.quiet == MOVED else lane.quiet + passed
        if lane.quiet < self._settings.timeout:
            return
        awaited = lane.user is not None and lane.user.time_out()
        self.timed_out += awaited
        crew.give_up(lane)
        record = lane.record
        logger.error(
            "request %s: %s has sent nothing for %.0f s (--wsgi-timeout)%s; %d of %d lanes of %s are stuck",
            record.request_id,
            lane.view,
            lane.quiet,
            ": its client is answered 504, or cut off" if awaited else ", and no client waits for it",
            crew.stuck,
            len(crew.lanes),
            crew,
        )
        if lane.thread:
            crew.locate(lane.thread, lambda place: _say_place(lane, record, place))

    # -- processes ---------------------------------------------------------------------------------------

    def _judge_process(self, crew: ProcessCrew, passed: float) -> None:
        """A view that holds the GIL in C code stops all threads, including that of the control channel."""
        if not crew.busy or crew.ended_here:
            crew.silence = 0.0
            return
        if not crew.awaited:
            crew.silence = 0.0
            crew.ping()
            return
        crew.silence += passed
        if crew.silence < self._settings.timeout:
            return
        if crew.is_stopped:
            logger.error("%s has not answered for %.0f s: it is killed; %s", crew, crew.silence, STOPPED)
        else:
            logger.error(
                "%s has not answered for %.0f s, all of its threads are blocked: it is killed. "
                "Something holds the interpreter's lock, perhaps one of %s; the stacks of all threads "
                "follow, if it can still write them",
                crew,
                crew.silence,
                describe_running(crew.lanes),
            )
        crew.dump_and_kill()

    def kill_silent(self) -> None:
        """End those that don't answer: they would not notice that the server is gone."""
        for crew in self._supervisor.all:
            if isinstance(crew, ProcessCrew) and crew.silence:
                crew.kill()

    def _judge_size(self, crew: ProcessCrew, now: float) -> None:
        size = crew.measure()
        if size is not None and size > self._settings.max_rss and now - crew.ready_at >= limits.SHORT_LIFE:
            mib = size / limits.MIB
            self._supervisor.replace(crew, f"it holds {mib:.0f} MiB of memory (--wsgi-max-rss)")


def _say_place(lane: Lane, record: Record, place: str) -> None:
    """Log it, unless the view has ended meanwhile, and the thread runs another one."""
    if place and lane.stuck and lane.record is record:
        logger.error("request %s is at %s", record.request_id, place)


class Crowd:
    """Logs when all lanes have been busy for long, and which requests are responsible. `sized_by`: the
    options that give the pool more of them.
    """

    def __init__(self, supervisor: Supervisor, says: str, sized_by: str) -> None:
        self._says = says
        self._sized_by = sized_by
        self._supervisor = supervisor
        self._since: float | None = None
        self._tally = Tally(limits.BUSY_PAUSE)

    def look(self, now: float, *, had_idle: bool) -> None:
        """`had_idle`: since the last look a lane was free for a while."""
        crews = self._supervisor.crews
        lanes = [lane for crew in crews for lane in crew.lanes]
        # Quick views run one after another on one lane: the others are idle, but not used.
        is_free = any(crew.idle for crew in crews) and not any(crew.prefetch.waiting for crew in crews)
        if had_idle or is_free or not lanes:
            self._since = None
        elif self._since is None:
            self._since = now
        elif now - self._since >= limits.BUSY_TIME and self._tally.count(now):
            logger.warning(
                "%sall %d lanes have been busy for %.0f s (%s); %s",
                self._says,
                len(lanes),
                now - self._since,
                self._sized_by,
                describe_longest(lanes),
            )
