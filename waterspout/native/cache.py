"""What many ask for at once is made once: single flight, kept for a while, bounded."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from waterspout.native.shared import has_failed, run_shared

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """`task` was begun at `begun`, on the monotonic clock."""

    task: asyncio.Task[T]
    begun: float

    def serves(self, lifetime: float) -> bool:
        """Whether a caller that asks now is served by it: a value that is young enough, or is being made on
        this event loop. For what was left behind on one that is closed everybody would wait for ever.
        """
        if self.task.done():
            return time.monotonic() - self.begun < lifetime
        return self.task.get_loop() is asyncio.get_running_loop()


class Cache(Generic[T]):
    """Values by key, each made by the first who asks, and kept for `lifetime` seconds from then.

    At most `size` are kept: the one that was made first goes first. An exception is told to all who wait
    for it, and not kept.
    """

    def __init__(self, lifetime: float, size: int) -> None:
        self._lifetime = lifetime
        self._size = size
        self._entries: OrderedDict[Hashable, Entry[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """Return the value of the key; raises what `make` raises."""
        entry = self._entries.get(key)
        if entry is None or not entry.serves(self._lifetime):
            entry = self._begin(key, make)
        if entry.task.done():
            return entry.task.result()
        # Shielded: when the one that asked first goes away, the others still get theirs.
        return await asyncio.shield(entry.task)

    def _begin(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> Entry[T]:
        task = asyncio.create_task(run_shared(make))
        entry = self._entries[key] = Entry(task, time.monotonic())
        task.add_done_callback(lambda _: self._drop_failed(key, entry))
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return entry

    def _drop_failed(self, key: Hashable, entry: Entry[T]) -> None:
        """The next caller tries again, though nobody may be left who was told of the failure."""
        if has_failed(entry.task) and self._entries.get(key) is entry:
            del self._entries[key]
