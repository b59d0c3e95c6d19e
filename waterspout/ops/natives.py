"""Which requests of native handlers are running: found on demand, so that it costs requests nothing."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import inspect
import time
from collections.abc import AsyncIterator, Iterable
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast

from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.limits import LONGEST
from waterspout.message.record import describe_request

#: How many tasks are examined in one turn of the loop.
_AT_ONCE: Final = 500


class NativeRequest(NamedTuple):
    """`task`: the one its handler runs in; `seconds`: since it arrived; `replies`: its reply has begun, as a
    stream's has; `is_left`: its client has gone.
    """

    handler: RequestHandler
    task: asyncio.Task[Any]
    seconds: float
    replies: bool
    is_left: bool

    @property
    def request(self) -> str:
        """Method and path, as the log shows them."""
        request = self.handler.request
        return describe_request(request.method or "", request.uri or "")

    @property
    def handler_class(self) -> type[RequestHandler]:
        """The class that its author wrote."""
        return self.handler.__class__


def find_natives() -> list[NativeRequest]:
    """All unfinished requests on the running event loop, whichever server they came by, the longest-running
    first; except the caller's own, and WebSockets.
    """
    here = asyncio.current_task()
    found = filter(None, (find_native(task) for task in asyncio.all_tasks() if task is not here))
    return sorted(found, key=lambda native: native.seconds, reverse=True)


async def walk_natives() -> AsyncIterator[NativeRequest]:
    """The same in any order, with turns for others: 10,000 streams take 50 ms. One that can't be described,
    whatever an app has made of its handler, is left out.
    """
    here = asyncio.current_task()
    for number, task in enumerate(asyncio.all_tasks()):
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
        native = None
        with contextlib.suppress(Exception):
            native = None if task is here else find_native(task)
        if native is not None:
            yield native


def find_native(task: asyncio.Task[Any]) -> NativeRequest | None:
    """The request that this task is answering, if any, unless it has finished."""
    handler = _find_handler(task)
    return None if handler is None else _describe(handler, task)


def name_native(task: asyncio.Task[Any]) -> str:
    """Method and path of the request that this task is answering, or else its coroutine. Never raises."""
    coroutine = task.get_coro()
    with contextlib.suppress(Exception):  # an app's handler may do anything: the shutdown waits for this
        native = find_native(task)
        if native is not None:
            return native.request
    name: str = getattr(coroutine, "__qualname__", type(coroutine).__name__)
    return name


def tell_natives(natives: Iterable[NativeRequest]) -> dict[str, Any]:
    """For JSON. One whose reply has begun may be long-lived: it is counted, but not among the longest."""
    natives = list(natives)
    unanswered = [native for native in natives if not native.replies]
    return {
        "requests": {
            "running": len(natives),
            "replying": len(natives) - len(unanswered),
            "abandoned": sum(native.is_left for native in natives),
        },
        "longest": [
            {"request": native.request, "seconds": native.seconds}
            for native in heapq.nlargest(LONGEST, unanswered, key=attrgetter("seconds"))
        ],
    }


def _find_handler(task: asyncio.Task[Any]) -> RequestHandler | None:
    """The handler that answers in this task, if any, unless it has finished."""
    coroutine = task.get_coro()
    if getattr(coroutine, "__name__", "") != "_execute" or not inspect.iscoroutine(coroutine):
        return None
    handler = inspect.getcoroutinelocals(coroutine).get("self")
    if not isinstance(handler, RequestHandler) or handler._finished:
        return None
    is_socket = isinstance(handler, WebSocketHandler) and handler.ws_connection is not None
    return None if is_socket else handler


def _describe(handler: RequestHandler, task: asyncio.Task[Any]) -> NativeRequest:
    request = handler.request
    connection = cast(Any, request.connection)
    opened: float | None = getattr(request, "opened", None)
    return NativeRequest(
        handler,
        task,
        request.request_time() if opened is None else time.perf_counter() - opened,
        handler._headers_written or bool(getattr(connection, "detached", False)),
        _is_left(connection),
    )


def _is_left(connection: Any) -> bool:
    is_lost: bool | None = getattr(connection, "is_lost", None)
    if is_lost is not None:
        return is_lost
    stream = getattr(connection, "stream", None)  # Tornado's own
    return stream is not None and bool(stream.closed())
