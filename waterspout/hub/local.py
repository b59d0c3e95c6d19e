"""The hub of one process: topics, and the subscribers of each."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final

from waterspout.exceptions import NotServing
from waterspout.hub.outbox import OUTSIDE, Outbox, check_topic, find_outbox, open_outbox
from waterspout.limits import SUBSCRIBER_QUEUE
from waterspout.logs.steady import steady

logger = steady("waterspout.hub")

#: The error message where an event loop runs, but no message ever arrives.
_ELSEWHERE: Final = (
    "subscribe() works in native handlers, in the server's process; a view, in its own process, "
    "would receive nothing: docs/native.md#live"
)
#: Deliveries in one turn of the event loop, of one message to thousands or of thousands to one: each wakes a
#: reader in the next turn, and a hundred that send it on take 3 ms.
_DELIVERIES_AT_ONCE: Final = 100
#: ... or as many as take a quarter of the time that an iteration takes anyway: where that is long, there
#: would be too few (a second).
_DELIVERIES_MEANWHILE: Final = 8000
#: So much of a message counts as one more of them: each reader decodes it (bytes).
_AS_ONE_MORE: Final = 4096
#: Up to this many topics, those without subscribers are not searched for.
_FEW_TOPICS: Final = 500


class Subscription:
    """The messages of one topic, for one reader: `async for message in subscription`.

    Registered when made, unregistered by `close()`, at the end of `async with`, or when nothing refers to it.
    At most `max_queue` messages wait; one more pushes out the oldest. Ends when the server drains.

    Attributes: `missed` (int), how many were pushed out just before the message yielded last, or could not be
    read; `dropped` (int), how many in total; `loop`, the event loop that it was made on, and is read on.
    """

    def __init__(self, hub: Hub, topic: str, max_queue: int) -> None:
        if max_queue < 1:
            raise ValueError(f"max_queue must be at least 1, not {max_queue}")
        self.topic = topic
        self.missed = 0
        self.dropped = 0
        self._hub = hub
        self._queue: deque[bytes] = deque()
        self._max_queue = max_queue
        self._dropped_before = 0
        self.loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._has_given = False  # the last message was there without waiting
        #: By another loop: once for any number of messages, should this one stand still.
        self._is_woken = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        """The next message. Raises StopAsyncIteration once closed and read to the end."""
        while True:
            data = await self._take()
            try:
                message = json.loads(data)
            except RecursionError:  # the publisher's own stack was less deep
                logger.warning("a message on topic %s is lost: it is nested too deeply", self.topic)
                self.dropped += 1
            else:
                self.missed = self.dropped - self._dropped_before
                self._dropped_before = self.dropped
                return message

    async def _take(self) -> bytes:
        if self._queue and self._has_given:
            self._has_given = False
            await asyncio.sleep(0)  # a burst must not keep the event loop from others
        self._has_given = bool(self._queue)
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("two tasks read one subscription: give each its own")
            self._waiter = self.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._queue.popleft()

    async def __aenter__(self) -> Subscription:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Receive no more messages; a waiting reader stops. Harmless when repeated."""
        self._closed = True
        self._hub.discard(self)
        self._wake()

    def close_from_anywhere(self) -> None:
        """`close`, in the thread of the subscriber's own event loop."""
        if _running_loop() is self.loop:
            self.close()
            return
        try:
            self.loop.call_soon_threadsafe(self.close)
        except RuntimeError:  # the loop is closed: there is nothing to wake
            self._closed = True
            self._hub.discard(self)

    def deliver_from(self, loop: asyncio.AbstractEventLoop, message: bytes) -> None:
        """Queue one encoded message. Only in the thread of `loop`, which may not be the reader's."""
        if self._closed:
            return
        self._queue.append(message)
        # No lock: the reader may take some meanwhile, but each is either taken or counted as dropped.
        if len(self._queue) > self._max_queue:
            try:  # `suppress` would cost more than the rest, of a flood with thousands of readers
                self._queue.popleft()
            except IndexError:
                pass
            else:
                self.dropped += 1
        if loop is self.loop:
            self._wake()
        elif not self._is_woken:
            self._is_woken = True
            with contextlib.suppress(RuntimeError):  # closed
                self.loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        self._is_woken = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """Subscribers by topic, and the outbox that `publish` fills in this process.

    `open` and `close` are counted for each event loop: the hub serves while any application or pool of the
    process does. One of those loops empties the outbox, as long as it runs; each subscriber reads in its own.
    """

    _most_topics = _FEW_TOPICS

    def __init__(self) -> None:
        self._topics: dict[str, weakref.WeakSet[Subscription]] = {}
        # Several event loops may have subscribers. Held to change or copy what they share, never to deliver.
        self._lock = threading.Lock()
        #: How many have opened on each loop and not closed; the loop opened most recently is the last.
        self._opened: dict[asyncio.AbstractEventLoop, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that empties the outbox
        self._outbox: Outbox | None = None
        self._drain_scheduled = False
        self._drain_scheduled_at = 0.0
        #: The message that is being delivered, and who is still to get it.
        self._message = b""
        self._audience: Iterator[Subscription] = iter(())

    @property
    def is_elsewhere(self) -> bool:
        """Whether messages go to the hub of another process: this is a WSGI process, or a forked child.
        (Where the hub has not been opened, it still may be: a container starts with its first request.)
        """
        outbox = find_outbox()
        return outbox is not None and (outbox is not self._outbox or outbox.pid != os.getpid())

    def open(self) -> None:
        """Start serving on the running event loop."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._outbox is None or self._outbox.pid != os.getpid():
                self._opened.clear()
            if all(each.is_closed() for each in self._opened):
                self._loop = None
                self._outbox = Outbox(self._wake)  # messages left in an earlier one are not delivered
                self._audience = iter(())
                open_outbox(self._outbox)
            self._opened[loop] = self._opened.pop(loop, 0) + 1
        self._wake()  # messages may be waiting for a loop that stands still

    def close(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Stop serving on `loop` (the running one; where none runs, the newest) once it has closed as often
        as it has opened: its subscribers end. All subscribers do, if it was the last loop.
        """
        with self._lock:
            loop = loop or _running_loop() or next(reversed(self._opened), None)
            if loop is None or loop not in self._opened:
                return
            self._opened[loop] -= 1
            if self._opened[loop]:
                return
            del self._opened[loop]
        if self._choose_loop() is not None:
            self.end_subscriptions(loop)
            self._wake()  # for the messages that this loop should have taken

    def end_subscriptions(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Let the subscribers on `loop`, or all, finish what they have and stop: the server is draining."""
        with self._lock:
            everybody = [subscription for topic in self._topics.values() for subscription in topic]
        for subscription in everybody:
            if loop is None or subscription.loop is loop:
                subscription.close_from_anywhere()

    def subscribe(self, topic: str, max_queue: int = SUBSCRIBER_QUEUE) -> Subscription:
        subscription = Subscription(self, check_topic(topic), max_queue)
        with self._lock:
            self._topics.setdefault(topic, weakref.WeakSet()).add(subscription)
            if len(self._topics) > self._most_topics:
                self._forget_topics()
        return subscription

    def _forget_topics(self) -> None:
        """Remove the topics of subscriptions that were never closed, only dropped. Again when there are twice
        as many: each new topic costs a look at two others.
        """
        # Not when a subscription is freed: that may be by the garbage collector, while we hold the lock.
        self._topics = {topic: those for topic, those in self._topics.items() if those}
        self._most_topics = max(_FEW_TOPICS, 2 * len(self._topics))

    def discard(self, subscription: Subscription) -> None:
        """Remove a subscription, and its topic if it was the last."""
        # Never waits: the garbage collector may call this, for an unreachable handler, while this very thread
        # holds the lock. A closed subscription takes no messages, and leaves its topic when it is freed.
        if not self._lock.acquire(blocking=False):
            return
        try:
            subscribers = self._topics.get(subscription.topic)
            if subscribers is not None:
                subscribers.discard(subscription)
                if not subscribers:
                    del self._topics[subscription.topic]
        finally:
            self._lock.release()

    def forward(self, topic: str, message: bytes) -> None:
        """Deliver an encoded message of another process as if it had been published here: a read may bring
        thousands.
        """
        outbox = self._outbox
        if outbox is not None and topic in self._topics:
            with contextlib.suppress(NotServing):  # the last loop has just been closed
                outbox.put(topic, message)

    def _find_audience(self, topic: str) -> Iterator[Subscription]:
        """Those who subscribe to `topic` now."""
        with self._lock:
            return iter(list(self._topics.get(topic, ())))

    def _wake(self) -> None:
        """Have a loop empty the outbox, once for any number of messages. From any thread.

        Raises NotServing: all loops opened on are closed, though `close` was not called for them.
        """
        loop = self._loop
        if loop is None or not loop.is_running():
            loop = self._choose_loop()
            if loop is None:
                raise NotServing(OUTSIDE)
        if self._drain_scheduled:
            return
        self._drain_scheduled = True
        self._drain_scheduled_at = time.monotonic()
        try:
            loop.call_soon_threadsafe(self._drain)
        except RuntimeError:  # closed at this moment
            self._drain_scheduled = False
            self._wake()

    def _choose_loop(self) -> asyncio.AbstractEventLoop | None:
        """Choose what empties the outbox from now on: a running loop, if any. None: nothing serves now.

        An application that was not stopped leaves a closed loop behind, or one that stands still for good.
        """
        with self._lock:
            self._opened = {loop: count for loop, count in self._opened.items() if not loop.is_closed()}
            loops = sorted(self._opened, key=lambda loop: (loop.is_running(), loop is self._loop))
            chosen = loops[-1] if loops else None
            if chosen is not self._loop:
                self._loop = chosen
                self._drain_scheduled = False
            if chosen is None:
                self._outbox = None
                self._message, self._audience = b"", iter(())
                open_outbox(None)
        if chosen is None:
            self.end_subscriptions()
        return chosen

    def _drain(self) -> None:
        """Deliver what is waiting; of a flood only a part, so that the loop can do other things between."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # This loop stood still, and another one does it now: two would mix up the order. That one may not
            # have been woken, if it was chosen while `_wake` was about to wake this one.
            self._drain_scheduled = False
            with contextlib.suppress(NotServing):  # perhaps no loop does it now
                self._wake()
            return
        self._drain_scheduled = False
        waited = time.monotonic() - self._drain_scheduled_at
        left = max(_DELIVERIES_AT_ONCE, int(waited * _DELIVERIES_MEANWHILE))
        while left > 0:
            subscription = next(self._audience, None)
            if subscription is not None:
                subscription.deliver_from(loop, self._message)
                left -= 1 + len(self._message) // _AS_ONE_MORE
                continue
            item = self._outbox.take() if self._outbox is not None else None
            if item is None:
                self._message = b""  # it may be large
                return
            topic, self._message = item
            self._audience = self._find_audience(topic)
            left -= 1  # there may be none
        self._wake()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


#: The hub of this process.
hub = Hub()


def subscribe(topic: str, max_queue: int = SUBSCRIBER_QUEUE) -> Subscription:
    """Subscribe a native handler to `topic`; messages come from `publish` anywhere on this server.

    On any event loop of the server's process. Raises NotServing where no event loop runs, in a WSGI process
    and in a forked child; ValueError for a topic that is not a name, or `max_queue` < 1.
    """
    if _running_loop() is None:
        raise NotServing("subscribe() works in native handlers, on the event loop of a server")
    if hub.is_elsewhere:
        raise NotServing(_ELSEWHERE)
    return hub.subscribe(topic, max_queue)
