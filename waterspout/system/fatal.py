"""What an exception in a task ends: what the task does, or the event loop and everything that it serves.
Leaf.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


async def contain_exit(awaitable: Awaitable[T]) -> T:
    """Wraps an awaitable that is to become a task. Raises what it raises; RuntimeError in place of a
    SystemExit, which a task would raise into its event loop, too, and so end it, whatever else it serves.
    """
    try:
        return await awaitable
    except SystemExit as error:
        raise RuntimeError(f"SystemExit({error.code!r}) does not end the server") from error


def find_failure(future: asyncio.Future[Any]) -> BaseException | None:
    """What a future that is done has failed with; the CancelledError of a cancelled one tells where."""
    if not future.cancelled():
        return future.exception()
    try:
        future.result()
    except asyncio.CancelledError as error:
        return error
    return None


def ends_more(error: BaseException, task: asyncio.Future[Any] | None) -> bool:
    """Whether `error`, which came out of code that runs in `task`, has to be raised again: it is more than a
    failure of that code.

    KeyboardInterrupt ends the event loop. GeneratorExit may mean that the coroutine is being closed: by the
    garbage collector, in any task and any thread.
    """
    if not isinstance(error, GeneratorExit):
        return isinstance(error, KeyboardInterrupt)
    try:
        return task is None or asyncio.current_task() is not task
    except RuntimeError:  # no event loop runs in this thread
        return True
