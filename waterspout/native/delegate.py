"""A request on its way to a native handler: how large its body may be, and who runs the handler.

Calls Tornado's private `_execute`, sets `_transforms` as that does, `_log`; reads `_finished`; ends
`_body_future` (6.6.1)."""

from __future__ import annotations

import asyncio
import functools
import sys
import weakref
from collections.abc import Awaitable, Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, cast

from tornado.gen import convert_yielded
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from waterspout.exceptions import RequestRefused
from waterspout.message.closing import may_serve
from waterspout.message.record import Record, record_of, word_for
from waterspout.message.size import has_limit, lower_limit
from waterspout.native.errors import answer_exception
from waterspout.native.failure import describe_unmade, fail
from waterspout.native.handler import LeanRequestHandler, keep_converted
from waterspout.native.head import follow_get
from waterspout.native.request import Request
from waterspout.native.transform import RecordTransform
from waterspout.system.fatal import ends_more
from waterspout.websocket.handler import adapt
from waterspout.wsgi.exchange.reply import Reply

if TYPE_CHECKING:
    from waterspout.application import Application as OurApplication

#: Pieces of a body smaller than this are joined (bytes).
_PIECE: Final = 16 * 1024


class PlainDelegate(HTTPMessageDelegate):
    """Runs a handler that gets its body whole, as Tornado's own delegate does, but in one task, where
    Tornado wraps one coroutine in another. Attributes: as Tornado's, for an overridden `find_handler`.
    """

    stream_request_body = False

    def __init__(
        self,
        application: Application,
        request: HTTPServerRequest,
        handler_class: type[RequestHandler],
        handler_kwargs: dict[str, Any] | None,
        path_args: Sequence[Any] | None,
        path_kwargs: Mapping[str, Any] | None,
    ) -> None:
        self.application = application
        self.request: Any = request
        self.handler_class = handler_class
        self.handler_kwargs = handler_kwargs or {}
        self.path_args = path_args or ()
        self.path_kwargs = path_kwargs or {}
        self._chunks: list[bytes | bytearray] = []
        self.handler: RequestHandler | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        headers["X-Request-Id"] = record_of(self.request).request_id

    def data_received(self, chunk: bytes) -> None:
        last = self._chunks[-1] if self._chunks else b""
        if type(last) is bytearray and len(last) < _PIECE:
            last += chunk
        else:
            # Kept as separate objects, single bytes would take a hundred times their size.
            self._chunks.append(chunk if len(chunk) >= _PIECE else bytearray(chunk))

    def finish(self) -> None:
        if self._chunks:
            chunks, self._chunks = self._chunks, []
            self.request.body = bytes(chunks[0]) if len(chunks) == 1 else b"".join(chunks)
        self.execute()

    def on_connection_close(self) -> None:
        self._chunks = []

    def execute(self) -> None:
        # In a copy: otherwise, on Tornado's own server, the next request would see the context variables that
        # the handler's constructor sets.
        copy_context().run(self._execute)

    def _execute(self) -> None:
        application, request, kwargs = self.application, self.request, self.handler_kwargs
        try:
            handler = self.handler = self.handler_class(application, request, **kwargs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            fail(application, request, error, describe_unmade(self.handler_class, kwargs)).finish()
            return
        self._task = run(handler, *self.path_args, **self.path_kwargs)
        self.request.connection.task = self._task  # cancelled when the server stops


def run(handler: RequestHandler, *args: Any, **kwargs: Any) -> asyncio.Future[None]:
    """Run `handler` in a task of its own, to which the caller keeps a reference."""
    request, classes = handler.request, handler.application.transforms
    if type(handler)._execute is not LeanRequestHandler._execute:
        return _run_other(handler, args, kwargs)
    if len(classes) == 1 and classes[0] is RecordTransform and type(request) is Request:
        return asyncio.get_running_loop().create_task(handler._execute(None, *args, **kwargs))  # type: ignore[arg-type]  # ours accepts None
    running = handler._execute([transform(request) for transform in classes], *args, **kwargs)
    return asyncio.get_running_loop().create_task(running)


def _run_other(
    handler: RequestHandler, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> asyncio.Future[None]:
    """Run one whose class was left alone, or that has its own `_execute`."""
    _complete(handler, kwargs)
    transforms = [transform(handler.request) for transform in handler.application.transforms]
    return asyncio.get_running_loop().create_task(_execute(handler, transforms, *args, **kwargs))


async def _execute(self: RequestHandler, transforms: list[Any], /, *args: Any, **kwargs: Any) -> None:
    """Run its own `_execute`, and answer what that lets through, as Tornado's does a SystemExit.

    By this name, and that of its first argument, `ops/natives.py` finds the handler in a task.
    """
    connection: Any = self.request.connection
    task = asyncio.current_task()
    if getattr(connection, "task", None) is None:
        connection.task = task  # as `LeanRequestHandler._execute`: Tornado's delegate keeps none
    self._transforms = transforms  # as Tornado's: an error page goes through them, whatever its own has done
    try:
        running: Any = type(self)._execute(self, transforms, *args, **kwargs)
        await (running if asyncio.iscoroutine(running) else convert_yielded(running))  # under `gen.coroutine`
    except BaseException as error:
        if ends_more(error, connection.task):
            raise
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # this task is cancelled, and not only something that it awaited
        answer_exception(self, error)
    finally:
        if self._finished:
            connection.task = None  # no reference cycle: its context may refer to the handler


def end_body(request: Any) -> None:
    """End a streaming handler's wait for its body. Tornado's `on_connection_close` does that; with one of the
    handler's own that does not call it, the handler would wait forever.
    """
    body: asyncio.Future[None] | None = getattr(request, "_body_future", None)
    if body is not None and not body.done():
        body.set_exception(StreamClosedError())
        body.exception()  # or asyncio logs that nobody asked for it


def complete_others(delegate: Any, handler_class: type[RequestHandler]) -> None:
    """Give the handler that Tornado's `delegate` creates what it lacks, if its class was left alone."""
    if handler_class._execute is LeanRequestHandler._execute:
        return
    make, kwargs = delegate.handler_class, delegate.path_kwargs

    @functools.wraps(make, updated=())  # its name, for the log
    def make_complete(*args: Any, **arguments: Any) -> RequestHandler:
        handler: RequestHandler = make(*args, **arguments)
        _complete(handler, kwargs)
        find = weakref.ref(handler)  # a bound method, kept on it, would be a reference cycle
        handler._execute = lambda *args, **kwargs: _execute(find(), *args, **kwargs)  # type: ignore[method-assign,arg-type]  # its delegate has it
        return handler

    delegate.handler_class = make_complete


def _complete(handler: RequestHandler, kwargs: dict[str, Any]) -> None:
    keep_converted(handler, kwargs)
    if isinstance(handler, WebSocketHandler):
        adapt(handler)
    if handler.request.method == "HEAD":
        follow_get(handler)


class Unfound(HTTPMessageDelegate):
    """Stands in for a handler's delegate where the search for a rule raised `error`."""

    stream_request_body = False

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def finish(self) -> None:
        """Raises `error`: the caller, which passes the request on, answers it."""
        raise self._error

    execute = finish


class NativeDelegate(HTTPMessageDelegate):
    """Tornado's own delegate, with a limit on the body: `native_max_body_size` where the handler gets it
    whole, that is, in memory; `max_body_size` where the handler streams.

    A streaming handler may set a lower limit of its own, as in Tornado, by `set_max_body_size` in `prepare`.
    Attributes: those of Tornado's delegate, for an overridden `find_handler`.
    """

    def __init__(self, application: OurApplication, request: HTTPServerRequest, delegate: Any) -> None:
        self._application = application
        self._request = request
        self._delegate = delegate
        streams = bool(delegate.stream_request_body)
        self._streams = streams
        self._limit = (
            application.max_body_size
            if streams
            else lower_limit(request.connection, application.native_max_body_size)
        )
        self._received = 0
        self._buffer = application.native_buffer
        self._held = 0  # of the buffer
        self._refusal: Reply | None = None
        self._ignored = False
        self._variables = copy_context()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._delegate, name)

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        connection: Any = self._request.connection
        if not getattr(headers, "judged", False):
            self._ignored = not may_serve(connection)
            if self._ignored:
                return None
        # The limit is ours, and so is the answer: 413, where Tornado would say 400. But a limit given to the
        # server may be raised by a handler that streams: the server enforces that one.
        if not (self._streams and has_limit(connection)):
            connection.set_max_body_size(sys.maxsize)
        length = headers.get("Content-Length", "").lstrip("0")
        if length.isascii() and length.isdecimal() and int(length[:20]) > self._limit:
            # Tornado refuses to read a body beyond sys.maxsize: there is nothing to wait for.
            self._refuse(413, headers, linger=len(length) < 19)
            return None
        headers["X-Request-Id"] = connection.request_id = record_of(self._request).request_id
        try:
            awaitable = self._variables.run(self._delegate.headers_received, start_line, headers)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail_early(error, headers)
            return None
        return cast("Awaitable[None] | None", awaitable)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        if self._refusal is not None:
            self._refusal.discard(len(chunk))
        if self._refusal is not None or self._ignored:
            return None
        self._received += len(chunk)
        if self._received > self._limit:
            self._tell_closed()  # drops what it holds; notifies a streaming handler
            self._refuse(413, self._request.headers, linger=True)
            return None
        if not self._streams:
            if not self._buffer.take(len(chunk), self._held):
                self._tell_closed()
                self._refuse(503, self._request.headers, linger=True)
                return None
            self._held += len(chunk)
        try:
            waits = self._variables.run(self._delegate.data_received, chunk)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._variables.run(self._answer, error)
            return None
        if waits is None:
            return None
        return asyncio.get_running_loop().create_task(self._take(waits), context=self._variables)

    async def _take(self, waits: Awaitable[None]) -> None:
        """Wait until a handler that streams has taken a piece of the body."""
        try:
            await waits
        except (KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:
            self._answer(error)

    def _answer(self, error: BaseException) -> None:
        """The handler raised in the middle of the body: as anywhere else, the handler makes the reply. It is
        the last on its connection, which then closes, and with it the wait for the rest of the body ends.
        """
        if isinstance(error, (HTTPInputError, RequestRefused)):
            raise error  # the client's fault, and answered as such
        answer_exception(self._delegate.handler, error)

    def finish(self) -> None:
        if self._refusal is not None:
            self._refusal.finish()
        elif not self._ignored:
            try:
                self._variables.run(self._delegate.finish)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                self._fail(error).finish()
            if self._held:
                task: asyncio.Future[None] | None = getattr(self._request.connection, "task", None)
                if task is None:
                    self._give_back()
                else:
                    task.add_done_callback(self._give_back)

    def _give_back(self, _task: object = None) -> None:
        """The body is no longer held."""
        self._buffer.give_back(self._held)
        self._held = 0

    def on_connection_close(self) -> None:
        self._give_back()
        if self._refusal is not None:
            self._refusal.abandon()
        elif not self._ignored:
            try:
                self._tell_closed()
            finally:
                self._log_incomplete()

    def _log_incomplete(self) -> None:
        """The access line of a request whose body did not arrive whole: a handler that gets it whole is not
        even made, and the method of one that streams is not called.
        """
        if self._streams or getattr(self._delegate, "handler", None) is None:
            record = record_of(self._request)
            refused = getattr(self._request.connection, "refused", 0)
            record.status = record.status or refused
            record.note = record.note or word_for(refused)
            self._log(record)

    def _log(self, record: Record) -> None:
        """Write the access line, unless a handler that streams has; if it ends later, it writes no other."""
        handler = getattr(self._delegate, "handler", None)
        if handler is not None:
            if handler._finished:
                return
            handler._log = lambda: None
        self._application.log_refused(record)

    def _tell_closed(self) -> None:
        # A copy: this may happen in the middle of another call.
        try:
            self._variables.copy().run(self._delegate.on_connection_close)
        finally:
            if self._streams:
                end_body(self._request)

    def execute(self) -> Awaitable[None] | None:
        """Run with the whole request at hand: `Application.__call__`, for nested applications."""
        try:
            return cast("Awaitable[None] | None", self._delegate.execute())
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._fail(error).finish()
            return None

    def _fail(self, error: BaseException, *, close: bool = False) -> Reply:
        """Answer 500 where there is no handler."""
        handler_class = getattr(self._delegate, "handler_class", None)
        arguments = getattr(self._delegate, "handler_kwargs", None)
        what = describe_unmade(handler_class, arguments)
        return fail(self._application, self._request, error, what, close=close)

    def _fail_early(self, error: BaseException, headers: HTTPHeaders) -> None:
        """As `_fail`, for a handler that streams: nobody reads the body, if one comes."""
        has_body = "Content-Length" in headers or "Transfer-Encoding" in headers
        self._refusal = self._fail(error, close=has_body)
        if has_body:
            self._end_refusal(self._refusal, headers, linger=True)

    def _refuse(self, status: int, headers: HTTPHeaders, *, linger: bool) -> None:
        """Answer 413, or 503; or cut the reply if a streaming handler has begun one. `linger`: more is
        coming.
        """
        self._give_back()
        request, record = self._request, record_of(self._request)
        refusal = self._refusal = Reply(request.connection, request.version, headers, record)
        record.note = "body-too-large" if status == 413 else "no-room"
        if record.status:
            refusal.cut()
            self._log(record)
            return
        refusal.answer(status, close=True)
        self._log(record)
        self._end_refusal(refusal, headers, linger=linger)

    def _end_refusal(self, refusal: Reply, headers: HTTPHeaders, *, linger: bool) -> None:
        if "Expect" in headers and not self._received:
            del headers["Expect"]  # already answered: no 100 Continue, and no body will come
            linger = False
        if linger:
            refusal.finish_later()
        else:
            refusal.finish()
