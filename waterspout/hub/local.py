"""The hub of one process: topics, and the subscribers of each."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import weakref
from collections import deque
from types import TracebackType
from typing import Any, Final

from waterspout.exceptions import NotServing
from waterspout.hub.outbox import Outbox, check_topic, open_outbox
from waterspout.limits import SUBSCRIBER_QUEUE

#: Messages delivered in one go.
_DRAIN_AT_ONCE: Final = 100


class Subscription:
    """The messages of one topic, for one reader: `async for message in subscription`.

    Registered when made, unregistered by `close()`, at the end of `async with`, or when nobody holds it.
    At most `max_queue` messages wait; one more pushes out the oldest. Ends when the server drains.

    Attributes: `missed` (int), how many were pushed out just before the message that was yielded last;
    `dropped` (int), how many in all.
    """

    def __init__(self, hub: Hub, topic: str, max_queue: int) -> None:
        if max_queue < 1:
            raise ValueError(f"max_queue must be at least 1, not {max_queue}")
        self.topic = topic
        self.missed = 0
        self.dropped = 0
        self._hub = hub
        self._queue: deque[bytes] = deque(maxlen=max_queue)
        self._dropped_before = 0
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False
        self._has_given = False  # a message for which its reader did not have to wait

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Any:
        """The next message. Raises StopAsyncIteration once closed and read to the end."""
        if self._queue and self._has_given:
            self._has_given = False
            await asyncio.sleep(0)  # a burst must not keep the event loop from everybody else
        self._has_given = bool(self._queue)
        while not self._queue:
            if self._closed:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("two tasks read one subscription: give each its own")
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self.missed = self.dropped - self._dropped_before
        self._dropped_before = self.dropped
        return json.loads(self._queue.popleft())

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
        """Get no more messages; a reader that waits stops. Harmless when repeated."""
        self._closed = True
        self._hub.discard(self)
        self._wake()

    def close_from_anywhere(self) -> None:
        """`close`, in the thread of the subscriber's own event loop."""
        if _running_loop() is self._loop or self._loop.is_closed():
            self.close()
        else:
            self._loop.call_soon_threadsafe(self.close)

    def deliver(self, message: bytes) -> None:
        """Queue one encoded message. From the thread of the subscriber's event loop only."""
        if self._closed:
            return
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(message)
        self._wake()

    def deliver_from(self, loop: asyncio.AbstractEventLoop, message: bytes) -> None:
        """`deliver`, from the thread of `loop`, which may be another one."""
        if loop is self._loop:
            self.deliver(message)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.deliver, message)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Hub:
    """Subscribers by topic, and the outbox that `publish` fills in this process.

    `open` and `close` count: the hub serves while any application or pool of the process does.
    """

    def __init__(self) -> None:
        self._topics: dict[str, weakref.WeakSet[Subscription]] = {}
        # Subscribers may live on several event loops. Held to change or copy a set, never to deliver.
        self._lock = threading.Lock()
        self._opened = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outbox: Outbox | None = None
        self._drain_scheduled = False

    def open(self) -> None:
        """Start serving on the running event loop."""
        self._opened += 1
        loop_is_gone = self._loop is not None and self._loop.is_closed()
        if self._outbox is None or self._outbox.pid != os.getpid() or loop_is_gone:
            self._loop = asyncio.get_running_loop()
            self._drain_scheduled = False
            self._outbox = Outbox(self._wake)
            open_outbox(self._outbox)

    def close(self) -> None:
        """Stop serving, once as many have closed as have opened: subscribers come to their end."""
        self._opened = max(0, self._opened - 1)
        if self._opened == 0:
            self._outbox = None
            open_outbox(None)
            self.end_subscriptions()

    def end_subscriptions(self) -> None:
        """Let every subscriber finish what it has and stop: the server is draining."""
        with self._lock:
            everybody = [subscription for topic in self._topics.values() for subscription in topic]
        for subscription in everybody:
            subscription.close_from_anywhere()

    def subscribe(self, topic: str, max_queue: int = SUBSCRIBER_QUEUE) -> Subscription:
        subscription = Subscription(self, check_topic(topic), max_queue)
        with self._lock:
            self._topics.setdefault(topic, weakref.WeakSet()).add(subscription)
        return subscription

    def discard(self, subscription: Subscription) -> None:
        """Forget a subscription, and its topic when it was the last."""
        with self._lock:
            subscribers = self._topics.get(subscription.topic)
            if subscribers is not None:
                subscribers.discard(subscription)
                if not subscribers:
                    del self._topics[subscription.topic]

    def deliver(self, topic: str, message: bytes) -> None:
        """Give an encoded message to all subscribers. From the event loop's thread."""
        with self._lock:
            subscribers = list(self._topics.get(topic, ()))
            if not subscribers:
                self._topics.pop(topic, None)  # those that were never closed, only forgotten
        loop = asyncio.get_running_loop()
        for subscription in subscribers:
            subscription.deliver_from(loop, message)

    def _wake(self) -> None:
        """Have the loop empty the outbox, once for any number of messages. From any thread."""
        if self._drain_scheduled or self._loop is None or self._loop.is_closed():
            return
        self._drain_scheduled = True
        self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        """Deliver what is waiting; of a flood a part, so that the loop gets to do other things between."""
        self._drain_scheduled = False
        for _ in range(_DRAIN_AT_ONCE):
            item = self._outbox.take() if self._outbox is not None else None
            if item is None:
                return
            self.deliver(*item)
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

    Raises NotServing where no event loop runs; ValueError for a topic that is no name, or `max_queue` < 1.
    """
    if _running_loop() is None:
        raise NotServing("subscribe() works in native handlers, on the event loop of a server")
    return hub.subscribe(topic, max_queue)
