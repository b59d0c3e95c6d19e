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


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """`task` was begun at `begun`, on the monotonic clock."""

    task: asyncio.Task[T]
    begun: float

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
        entry = self._entries.get(key)
        if entry is None or not entry.serves(self._lifetime):
            entry = self._begin(key, make)
        if entry.task.done():
            return entry.task.result()
        # Shielded: if the first caller goes away, the others still get the value.
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
        """Let the next caller try again, even if no caller is left that saw the failure."""
        if has_failed(entry.task) and self._entries.get(key) is entry:
            del self._entries[key]
