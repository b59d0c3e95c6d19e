"""Tracks the newest state and the followers that wait for the next one: all the open pages.

Changes are announced on the hub. An announcement is only a wake-up, and may be lost (a process killed between
commit and publish, a change made on another machine): so the source is also asked now and then. Either way
the watch learns the newest cursor, has the event made, and wakes its followers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Iterator
from typing import Protocol, Self, TypeVar

from waterspout.exceptions import WaterspoutError
from waterspout.hub.local import Subscription, subscribe
from waterspout.hub.outbox import check_topic
from waterspout.limits import (
    EVENTS_KEPT,
    FOLLOWERS,
    FOLLOWERS_WOKEN_AT_ONCE,
    SOURCE_INTERVAL,
    SOURCE_PATIENCE,
    SOURCE_SAID_PAUSE,
)
from waterspout.logs.tally import Tally
from waterspout.native.cache import Cache
from waterspout.native.live.cursor import NOTHING, Cursor
from waterspout.native.live.event import Event
from waterspout.native.shared import has_failed, run_shared

T = TypeVar("T")

_logger = logging.getLogger(__name__)
#: Of all watches: each user may have one, and they have one database.
_failures = Tally(SOURCE_SAID_PAUSE)


class Source(Protocol):
    """Something to follow. What takes longer than `SOURCE_PATIENCE` is broken off, with a TimeoutError; a
    thread that it waits for (`asyncio.to_thread`) can't be: give the database's driver a timeout of its own.
    """

    async def newest(self) -> Cursor:
        """Return the cursor of the newest state. Called every `interval` seconds of the watch, and when
        something is published: make it cheap.
        """

    async def event(self, since: Cursor) -> Event:
        """Return the event that brings a reader from there to the newest state.

        Read the cursor first: a state newer than its cursor is sent twice, an older one is lost.
        """


class TooManyFollowers(WaterspoutError, RuntimeError):
    """There are as many as the limit allows."""


class Follower:
    """One reader: its cursor, and whether it is still there. `async for event in follower`.

    Yields an event whenever there is one newer than its cursor, and None whenever nothing has come for
    `patience` seconds (None: never). Ends when the reader has left, or the server drains.
    """

    def __init__(self, watch: Watch, patience: float | None) -> None:
        self.watch = watch
        self.patience = patience
        self.cursor = NOTHING
        self.left = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def begin(self, since: Cursor | None) -> None:
        """Start at the cursor `since`; None: at the newest state."""
        await self.watch.ready()
        self.cursor = self.watch.newest if since is None else since
        if self.cursor > self.watch.newest:
            await self.watch.check()  # the page may be ahead of us for a moment

    async def __anext__(self) -> Event | None:
        try:
            async with asyncio.timeout(self.patience):
                await self._wait()
        except TimeoutError:
            return None
        return await self._take()

    async def _wait(self) -> None:
        """Return when the reader's cursor is not the newest; raises StopAsyncIteration at the end."""
        while True:
            if self.left or self.watch.ended:
                raise StopAsyncIteration
            if self.cursor != self.watch.newest:
                return
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def _take(self) -> Event:
        """Return the event from the reader's cursor to the newest one, or further."""
        newest = self.watch.newest
        is_foreign = self.cursor > newest  # a page of another database, perhaps
        event = Event.reload(newest) if is_foreign else await self.watch.event(self.cursor)
        self.watch.learn(event.cursor)
        self.cursor = max(event.cursor, newest)
        return event

    def leave(self) -> None:
        """The reader has gone. May be called again."""
        self.left = True
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Watch:
    """The followers of a source, and the one task that works for all of them, as long as there are any.

    `topic`: where changes of `source` are published; `interval`: how often the source is asked anyway
    (seconds); `limit`: how many may follow. Raises ValueError if `topic` is not a name.
    Attributes: `newest`, the newest known cursor; `ended`: the server drains.
    """

    def __init__(
        self, topic: str, source: Source, limit: int = FOLLOWERS, interval: float = SOURCE_INTERVAL
    ) -> None:
        self.source = source
        self.newest = NOTHING
        self.ended = False
        self._topic = check_topic(topic)
        self._limit = limit
        self._interval = interval
        self._events: Cache[Event] = Cache(math.inf, EVENTS_KEPT)
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    @property
    def follower_count(self) -> int:
        """How many followers there are."""
        return len(self._followers)

    async def event(self, since: Cursor) -> Event:
        """Return what brings a reader from there to the newest state; made once for all that need it."""
        return await self._events.get((since, self.newest), lambda: _patiently(self.source.event(since)))

    @contextlib.contextmanager
    def follow(self, patience: float | None) -> Iterator[Follower]:
        """A follower, on which to call `begin`. Raises TooManyFollowers; NotServing in a WSGI process."""
        if len(self._followers) >= self._limit:
            raise TooManyFollowers
        if not self._followers:
            self.ended = False  # another server may have started since
        follower = Follower(self, patience)
        self._followers.add(follower)
        try:
            if (self._task is None or self._task.done()) and not self.ended:
                # Subscribed before anything is read: what is posted from now on is either read or announced.
                self._task = asyncio.create_task(self._run(subscribe(self._topic)))
            yield follower
        finally:
            follower.leave()
            self._followers.discard(follower)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = self._checking = None

    async def ready(self) -> None:
        """Return when `newest` has been read at least once since there have been followers."""
        if self._checking is None or has_failed(self._checking):
            await self.check()
        else:
            await asyncio.shield(self._checking)

    async def check(self) -> None:
        """Ask the source; concurrent callers share one query."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        await asyncio.shield(self._checking)

    async def _check(self) -> None:
        self.learn(await run_shared(lambda: _patiently(self.source.newest())))

    def learn(self, newest: Cursor) -> None:
        self.newest = max(self.newest, newest)

    async def _run(self, subscription: Subscription) -> None:
        """Learn of changes and wake the followers, until the server drains."""
        known = None
        async with subscription:
            while not self.ended:
                await self._learn_next(subscription)
                if known != (newest := self.newest):  # it may change while being spread
                    await self._spread(known)
                    known = newest
        await self._wake_all()

    async def _learn_next(self, subscription: Subscription) -> None:
        """Wait for an announcement, at most the interval; then ask."""
        try:
            async with asyncio.timeout(self._interval):
                await anext(subscription)
        except TimeoutError:
            pass
        except StopAsyncIteration:
            self.ended = True
            return
        await self._check_calmly()

    async def _check_calmly(self) -> None:
        try:
            await self._check()  # not shared: a query already running may not see what was just announced
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            if count := _failures.count(time.monotonic()):
                others = f" ({count - 1} more such failures since the last such line)" if count > 1 else ""
                what = str(error).partition("\n")[0]  # a database's error may have several lines
                _logger.warning(
                    "can't check %s for news: %s: %s%s", self._topic, type(error).__name__, what, others
                )

    async def _spread(self, known: Cursor | None) -> None:
        """Have the event made before all ask for it at once; then wake them."""
        if known is not None:
            with contextlib.suppress(Exception):  # a follower that asks gets the same error, and reports it
                await self.event(known)
        await self._wake_all()

    async def _wake_all(self) -> None:
        for number, follower in enumerate(list(self._followers), 1):
            follower.wake()
            if number % FOLLOWERS_WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)


async def _patiently(answer: Awaitable[T]) -> T:
    """Await an answer of the source. Raises TimeoutError: none has come for too long."""
    try:
        async with asyncio.timeout(SOURCE_PATIENCE) as patience:
            return await answer
    except TimeoutError as error:
        if patience.expired():
            raise TimeoutError(f"no answer within {SOURCE_PATIENCE:g} s") from error
        raise
