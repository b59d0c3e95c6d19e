"""Work that one task does for many who wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from waterspout.system.fatal import contain_exit

T = TypeVar("T")


async def run_shared(work: Callable[[], Awaitable[T]]) -> T:
    """Await `work()`, in a task of its own. Raises what it raises; RuntimeError for SystemExit, and when
    something that it awaited was cancelled but this task was not: to the tasks that wait, a CancelledError
    would mean that they had been cancelled.
    """
    try:
        return await contain_exit(work())
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("something awaited here was cancelled") from error


def has_failed(task: asyncio.Task[T]) -> bool:
    """Whether it is done without a result."""
    return task.done() and (task.cancelled() or task.exception() is not None)
