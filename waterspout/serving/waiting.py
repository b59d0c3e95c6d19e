"""Native requests that have gone unanswered for long, logged while they wait: for views, the pool does."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from typing import Any, Final

from tornado.web import RequestHandler

from waterspout.limits import NATIVE_LATE, NATIVE_LATE_LOOK
from waterspout.logs.standing import describe_place, find_awaited
from waterspout.ops.natives import NativeRequest, walk_natives

logger = logging.getLogger("waterspout.ops")

#: What waits for a future, such as one of `gen.coroutine`, doesn't say where that was made: all that can be
#: seen is that the handler's caller waits.
_CALLERS: Final = tuple(
    os.path.join(*names)
    for names in (
        ("waterspout", "native", "handler.py"),
        ("waterspout", "native", "delegate.py"),
        ("tornado", "web.py"),
    )
)
#: Handlers with this attribute get the body as it arrives: that may be what they wait for.
_STREAMS: Final = "_stream_request_body"


class LateNatives:
    """Looks for them every now and then, and names each handler class that has some: once, until it has none.

    So a long-poll that is meant to wait is one line, and a database that hangs is one each time it does.
    """

    def __init__(self) -> None:
        self._told: frozenset[type[RequestHandler]] = frozenset()
        #: When each was first seen. Not when its head arrived: its body may have come slowly.
        self._seen: weakref.WeakKeyDictionary[asyncio.Task[Any], float] = weakref.WeakKeyDictionary()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look on the running loop, until `stop()`."""
        self._task = asyncio.get_running_loop().create_task(self._watch())

    def stop(self) -> None:
        """Stop looking. Harmless when repeated."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(NATIVE_LATE_LOOK)
            try:
                await self._look()  # a call, so that no request is kept alive until the next one
            except Exception:  # say, threads that create tasks while these are listed
                logger.exception("the check for late native requests failed")

    async def _look(self) -> None:
        late: dict[type[RequestHandler], NativeRequest] = {}
        now = asyncio.get_running_loop().time()
        async for native in walk_natives():
            with contextlib.suppress(Exception):  # whatever an app has made of its handler
                if not _is_awaited(native):
                    continue
                native = native._replace(seconds=now - self._seen.setdefault(native.task, now))
                if native.seconds >= NATIVE_LATE:
                    late[native.handler_class] = _choose(native, late.get(native.handler_class))
        for handler_class, native in late.items():
            if handler_class not in self._told:
                _tell(handler_class, native)
        self._told = frozenset(late)


def _choose(one: NativeRequest, other: NativeRequest | None) -> NativeRequest:
    """The one that has waited longer."""
    return one if other is None or one.seconds > other.seconds else other


def _is_awaited(native: NativeRequest) -> bool:
    if native.replies or native.is_left:
        return False
    return not getattr(native.handler_class, _STREAMS, False)


def _tell(handler_class: type[RequestHandler], native: NativeRequest) -> None:
    place = find_awaited(native.task.get_coro())
    logger.warning(
        "%s has not been answered for %.0f s (%s.%s)%s",
        native.request,
        native.seconds,
        handler_class.__module__,
        handler_class.__qualname__,
        "" if any(caller in place for caller in _CALLERS) else f"; {describe_place(place)}",
    )
