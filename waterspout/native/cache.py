"""A value that many ask for at once is made once: single flight, kept for a while, bounded."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from waterspout.limits import MAKING_JOINED
from waterspout.native.shared import has_failed, run_shared

T = TypeVar("T")


@dataclass(slots=True)
class Entry(Generic[T]):
    """`task` was begun at `begun`, on the monotonic clock. `earlier`: one that was begun before it and has a
    value, while this one has none.
    """

    task: asyncio.Task[T]
    begun: float
    earlier: Entry[T] | None = None

    def find(self, lifetime: float) -> Entry[T] | None:
        """The one that can serve a caller now."""
        if self.earlier is not None and self.earlier.serves(lifetime):
            return self.earlier
        return self if self.serves(lifetime) else None

    def serves(self, lifetime: float) -> bool:
        """Whether it can serve a caller now: its value is young enough, or has not been in the making for too
        long, on this event loop. A task that never ends, or was left behind on a closed loop, would keep
        everybody waiting forever.
        """
        age = time.monotonic() - self.begun
        if self.task.done():
            return age < lifetime
        return age < MAKING_JOINED and self.task.get_loop() is asyncio.get_running_loop()


class Cache(Generic[T]):
    """Values by key, each made for the first caller that asks, and kept for `lifetime` seconds from then.

    At most `size` are kept: the oldest is dropped first. An exception is raised for all callers that wait
    for the value, and not kept.
    """

    def __init__(self, lifetime: float, size: int) -> None:
        self._lifetime = lifetime
        self._size = size
        self._entries: OrderedDict[Hashable, Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the value of the key; raises what `make` raises."""
        known = self._entries.get(key)
        entry = (known and known.find(self._lifetime)) or self._begin(key, make)
        if entry.task.done():
            return entry.task.result()
        # Shielded: if the first caller goes away, the others still get the value.
        return await asyncio.shield(entry.task)

    def _begin(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> Entry[T]:
        task = asyncio.create_task(run_shared(make))
        entry = self._entries[key] = Entry(task, time.monotonic())
        task.add_done_callback(lambda _: self._settle(key, entry))
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return entry

    def _settle(self, key: Hashable, entry: Entry[T]) -> None:
        """What failed is not kept, even if no caller is left that saw it: the next one tries again. A value
        that was slow to make is kept, though another is in the making: that one may be as slow.
        """
        entry.earlier = None
        last = self._entries.get(key)
        if last is entry:
            if has_failed(entry.task):
                del self._entries[key]
        elif last is not None and not last.task.done() and not has_failed(entry.task):
            last.earlier = entry
