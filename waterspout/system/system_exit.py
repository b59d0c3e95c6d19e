"""Keeps a SystemExit in a task from ending the event loop and everything that it serves. Leaf."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def contain_exit(awaitable: Awaitable[T]) -> T:
    """Wraps an awaitable that is to become a task. Raises what it raises; RuntimeError in place of a
    SystemExit, which a task would raise into its event loop, too, and so end it, whatever else it serves.
    """
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError(f"SystemExit({error.code!r}) does not end the server") from error
