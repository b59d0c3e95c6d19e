"""Keeps a SystemExit in a task from ending the event loop, and all that it serves. Leaf."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def contain_exit(awaitable: Awaitable[T]) -> T:
    """Await it, on the way to a task. Raises what it raises; RuntimeError in place of a SystemExit, which a
    task raises into its event loop, too: that ends, whatever else it serves.
    """
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError(f"SystemExit({error.code!r}) does not end the server") from error
