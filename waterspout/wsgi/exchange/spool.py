"""What a slow client has not yet taken, or not finished sending: first in memory, then on disk.

No HTTP here. All spools of a pool share one temporary file, in blocks: its size limits all of them together,
and it costs one descriptor, however many clients are slow.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from functools import partial

from waterspout.limits import SPOOL_AHEAD, SPOOL_BLOCK, SPOOL_KEPT, STRETCH_TIME
from waterspout.wsgi.exchange.disk import Disk, Outcome


class SpoolSpace:
    """Blocks of one temporary file, `limit` bytes in total at most. The file exists while one is taken."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._most = limit // SPOOL_BLOCK
        self._given_back: list[int] = []
        self._fresh = 0  # places from this one on have never been taken
        self._taken = 0
        self._disk: Disk | None = None

    @property
    def used(self) -> int:
        """Bytes of the file that are taken."""
        return self._taken * SPOOL_BLOCK

    @property
    def is_exhausted(self) -> bool:
        """No block is left."""
        return self._taken >= self._most

    @property
    def disk(self) -> Disk:
        """The file, for callers that have taken a place in it."""
        if self._disk is None:
            self._disk = Disk()
        return self._disk

    def take(self) -> int | None:
        """The place of one block; None: there is none."""
        if self.is_exhausted:
            return None
        self._taken += 1
        if self._given_back:
            return self._given_back.pop()
        self._fresh += 1
        return self._fresh - 1

    def give_back(self, place: int) -> None:
        """Nobody reads or writes there any more."""
        self._taken -= 1
        self._given_back.append(place)
        if not self._taken:
            self._given_back.clear()
            self._fresh = 0
            if self._disk is not None:
                self._disk.close()
                self._disk = None


class _Block:
    """`data` is None while it is only on disk; `place` is None while it is only in memory; `working`: the
    disk is reading or writing it; `left`: it is no longer wanted.
    """

    __slots__ = ("data", "left", "place", "size", "working")

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data
        self.size = len(data)
        self.place: int | None = None
        self.working = False
        self.left = False


class Spool:
    """Bytes in, the same bytes out, in order; `limit` at most, unless `put` is called despite `is_full`.

    `on_change` is called when `get` may return more, or `is_full` may have ended. Attributes: `size`, the
    bytes in it; `limit`; `wants_space`, it needs room on disk, but all of it is taken; `failed`, why
    nothing more is written to disk; `broken`, why nothing more can be read.
    """

    def __init__(self, space: SpoolSpace, limit: int, on_change: Callable[[], None]) -> None:
        self._space = space
        self._on_change = on_change
        self._blocks: deque[_Block] = deque()
        self._unwritten: deque[_Block] = deque()  # those of them that are only in memory
        self._tail = bytearray()  # the last block, not yet full
        self._in_memory = 0  # bytes of blocks that are not yet, or never will be, on disk
        self._writing = False
        self._asked = 0.0  # when the disk was asked to, on the monotonic clock
        self.wants_space = False
        self._closed = False
        self.size = 0
        self.limit = limit
        self.failed: OSError | None = None
        self.broken: OSError | None = None

    @property
    def is_full(self) -> bool:
        """Put no more: it has reached its limit, or the disk is slower than the input, or has no room."""
        stuck = self.wants_space or self.failed is not None
        most = SPOOL_KEPT if stuck else SPOOL_KEPT + SPOOL_AHEAD
        return self.size >= self.limit or self._in_memory > most * SPOOL_BLOCK

    @property
    def waits_for_disk(self) -> bool:
        """There is room for more as soon as the disk has taken a piece, and it does not stand still."""
        has_room = self._writing and not self.wants_space and self.size < self.limit
        return has_room and time.monotonic() - self._asked < STRETCH_TIME

    @property
    def takes_space(self) -> bool:
        """Some of it is on disk."""
        return any(block.place is not None for block in self._blocks)

    def put(self, data: bytes) -> None:
        """Add `data` at the end."""
        self.size += len(data)
        self._tail += data
        while len(self._tail) >= SPOOL_BLOCK:
            block = _Block(bytes(memoryview(self._tail)[:SPOOL_BLOCK]))
            del self._tail[:SPOOL_BLOCK]
            self._blocks.append(block)
            self._unwritten.append(block)
            self._in_memory += block.size
        self.settle()

    def get(self) -> bytes:
        """The next piece; b"" when the spool is empty, or the piece must first be read from disk."""
        if not self._blocks:
            data = bytes(self._tail)
            self._tail.clear()
            self.size -= len(data)
            return data
        block = self._blocks[0]
        if block.data is None:
            self._load(block)
            return b""
        self._blocks.popleft()
        self.size -= block.size
        if block.place is None:
            self._unwritten.popleft()
        if block.place is None or block.working:
            self._in_memory -= block.size
        data = block.data
        self._leave(block)
        if self._blocks and self._blocks[0].data is None:
            self._load(self._blocks[0])
        self.settle()
        return data

    def settle(self) -> None:
        """Start writing to disk what may not stay in memory."""
        if self._writing or self.failed is not None:
            return
        self.wants_space = False
        batch: list[_Block] = []
        while len(self._unwritten) > SPOOL_KEPT and len(batch) < SPOOL_AHEAD:
            place = self._space.take()
            self.wants_space = place is None
            if place is None:
                break
            block = self._unwritten.pop()
            block.place, block.working = place, True
            batch.append(block)
        if batch:
            self._writing, self._asked = True, time.monotonic()
            pieces = [(block.place * SPOOL_BLOCK, block.data) for block in batch]  # type: ignore[operator]
            self._space.disk.write(pieces, partial(self._on_written, batch))  # type: ignore[arg-type]

    def close(self) -> None:
        """Drop all data, and the callback: its owner usually refers to us, which would be a cycle."""
        self._closed = True
        self._on_change = tell_nobody
        self.size = self._in_memory = 0
        self._tail.clear()
        self._unwritten.clear()
        while self._blocks:
            self._leave(self._blocks.popleft())

    def _leave(self, block: _Block) -> None:
        """Give its place back, now or when the disk has finished with it."""
        block.left = True
        if block.place is not None and not block.working:
            self._space.give_back(block.place)
            block.place = None

    def _load(self, block: _Block) -> None:
        if block.working or self.broken is not None:
            return
        assert block.place is not None
        block.working = True
        place = block.place * SPOOL_BLOCK
        self._space.disk.read(place, block.size, partial(self._on_read, block))

    def _on_read(self, block: _Block, outcome: Outcome) -> None:
        block.working = False
        if block.left:
            self._leave(block)
            return
        if isinstance(outcome, OSError):
            self.broken = outcome
        else:
            block.data = outcome
        self._on_change()

    def _on_written(self, batch: list[_Block], outcome: Outcome) -> None:
        self._writing = False
        for block in batch:
            block.working = False
            if block.left:
                self._leave(block)
            elif isinstance(outcome, OSError):
                self._space.give_back(block.place)  # type: ignore[arg-type]  # it was being written there
                block.place = None
            else:
                block.data = None
                self._in_memory -= block.size
        if self._closed:
            return
        if isinstance(outcome, OSError):
            self.failed = outcome
            self._unwritten = deque(block for block in self._blocks if block.place is None)
        self.settle()
        self._on_change()


def tell_nobody() -> None:
    """In place of a callback, once its caller is closed."""
