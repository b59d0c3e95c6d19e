"""Pieces that wait for a slow client, the small ones joined. Pure.

From Python 3.12 on an asyncio transport adds up the sizes of all that it holds at every write: 20,000 pieces
of 1 kB that a client leaves unread would block the event loop for half a minute.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from waterspout.limits import JOINED_SIZE, WRITE_SIZE


def append_joined(queue: deque[Any], data: bytes | bytearray | memoryview) -> None:
    """Append `data` to `queue`: copied into a bytearray of at most WRITE_SIZE bytes, which is `queue`'s last
    element, or as a memoryview of bytes if it has more than JOINED_SIZE bytes.
    """
    size = len(data)
    if size > JOINED_SIZE:
        queue.append(memoryview(data).cast("B"))
        return
    last = queue[-1] if queue else None
    if type(last) is bytearray and len(last) + size <= WRITE_SIZE:
        last += data
    else:
        queue.append(bytearray(data))
