"""Which version of the board is the newest, and who waits for the next one: all the open pages.

The Flask side announces each change on the hub. An announcement is only a wake-up, and may be lost (a process
killed between commit and publish, a post through another machine): so the database is asked now and then,
too. Either way the watch learns the newest version, has the event made, and wakes its followers.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Self

import waterspout
from app.store import TOPIC, AsyncStore
from handlers.feed import Event, Feed, reload_event
from handlers.version import NOTHING, Version, parse_version

logger = logging.getLogger(__name__)

# How often the database is asked, in seconds, while there are followers. One query, whatever their number.
CHECK_INTERVAL = 1.0

# Streams, sockets and long-polls in all. Each costs a connection and a coroutine, about 10 KiB.
FOLLOWERS = 10_000

# So many followers are woken in one turn of the loop: other requests get theirs between, some 5 ms later.
WOKEN_AT_ONCE = 100


class TooManyFollowers(RuntimeError):
    """There are as many as there may be."""


class Follower:
    """One reader: what it knows, and whether it is still there. `async for event in follower`.

    Yields events as long as there are newer ones than its cursor, and None whenever nothing has come for
    `patience` seconds. Ends when the reader has left, or the server drains.
    """

    def __init__(self, watch: "Watch", patience: float) -> None:
        self.watch = watch
        self.patience = patience
        self.cursor = NOTHING
        self.left = False
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def begin(self, since: Version | None) -> None:
        """Know what there was in the version `since`; None: all that there is now."""
        await self.watch.ready()
        self.cursor = self.watch.newest if since is None else since
        if self.cursor > self.watch.newest:
            await self.watch.check()  # the page may be a moment ahead of us

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
        """Return the event from the reader's cursor to the newest version, or further."""
        newest = self.watch.newest
        is_foreign = self.cursor > newest  # a page of another database
        event = reload_event(newest) if is_foreign else await self.watch.feed.event(self.cursor, newest)
        self.watch.learn(event.version)
        self.cursor = max(event.version, newest)
        return event

    def leave(self) -> None:
        """The reader has gone. Harmless when repeated."""
        self.left = True
        self.wake()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Watch:
    """The followers, and the one task that works for all of them, as long as there are any.

    `newest`: the newest version, as far as is known; `ended`: the server drains.
    """

    def __init__(
        self, store: AsyncStore, feed: Feed, limit: int = FOLLOWERS, interval: float = CHECK_INTERVAL
    ) -> None:
        self.feed = feed
        self.newest = NOTHING
        self.ended = False
        self._store = store
        self._limit = limit
        self._interval = interval
        self._followers: set[Follower] = set()
        self._task: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def follow(self, patience: float) -> Iterator[Follower]:
        """A follower, to be begun; raises TooManyFollowers."""
        if len(self._followers) >= self._limit:
            raise TooManyFollowers
        follower = Follower(self, patience)
        self._followers.add(follower)
        if self._task is None and not self.ended:
            # Subscribed before anything is read: what is posted from now on is either read or announced.
            self._task = asyncio.create_task(self._run(waterspout.subscribe(TOPIC)))
        try:
            yield follower
        finally:
            follower.leave()
            self._followers.discard(follower)
            if not self._followers and self._task is not None:
                self._task.cancel()
                self._task = self._checking = None

    async def ready(self) -> None:
        """Return when `newest` has been read at least once since there are followers."""
        if self._checking is None:
            await self.check()
        else:
            await asyncio.shield(self._checking)

    async def check(self) -> None:
        """Ask the database; those who want it at the same time share one query."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        await asyncio.shield(self._checking)

    async def _check(self) -> None:
        self.learn(parse_version(await self._store.version()) or NOTHING)

    def learn(self, newest: Version) -> None:
        self.newest = max(self.newest, newest)

    async def _run(self, subscription: waterspout.Subscription) -> None:
        """Learn of updates and wake the followers, until the server drains."""
        known = None
        async with subscription:
            while not self.ended:
                await self._learn_next(subscription)
                if known != (newest := self.newest):  # which may be another one when it has been spread
                    await self._spread(known, newest)
                    known = newest
        await self._wake_all()

    async def _learn_next(self, subscription: waterspout.Subscription) -> None:
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
            await self._check()  # not shared: what was announced now, a query that runs already may not see
        except Exception as error:
            logger.warning("the database can't be asked for news: %s", error)

    async def _spread(self, known: Version | None, newest: Version) -> None:
        """Have the event made, before all ask for it at once; then wake them."""
        if known is not None:
            with contextlib.suppress(Exception):  # who asks for it meets the same error, and tells
                await self.feed.event(known, newest)
        await self._wake_all()

    async def _wake_all(self) -> None:
        for number, follower in enumerate(list(self._followers), 1):
            follower.wake()
            if number % WOKEN_AT_ONCE == 0:
                await asyncio.sleep(0)
