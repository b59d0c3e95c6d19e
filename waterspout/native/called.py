"""A rule that leads to a plain function, which writes its reply to `request.connection` itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeGuard, cast

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.wsgi import WSGIContainer

from waterspout.exceptions import RequestRefused
from waterspout.http.private import CallableDelegate
from waterspout.message.closing import cut_reply
from waterspout.message.record import record_of, word_for
from waterspout.native.delegate import NativeDelegate
from waterspout.native.errors import is_left
from waterspout.native.failure import fail, log_failure
from waterspout.native.transform import RecordTransform

if TYPE_CHECKING:
    from asyncio import Future, Protocol

    from tornado.iostream import IOStream

    from waterspout.application import Application

_FAILED: Final = "the function of its rule failed"


def is_called(delegate: HTTPMessageDelegate | None) -> TypeGuard[CallableDelegate]:
    """Whether a router has found a function. Not a `WSGIContainer`: that logs what it answers itself."""
    if not isinstance(delegate, CallableDelegate):
        return False
    called = delegate.request_callback
    return not isinstance(getattr(called, "func", called), WSGIContainer)


def open_called(
    application: Application, request: HTTPServerRequest, delegate: CallableDelegate
) -> NativeDelegate:
    """What answers `request` in place of Tornado's `delegate`, which calls the function with the body whole:
    the same, with an access line, a request ID, our limit on the body, and a path below the root path.
    """
    delegate.connection = recorded = RecordedConnection(application, request)
    return NativeDelegate(application, request, CalledDelegate(request, delegate, recorded))


class CalledDelegate(HTTPMessageDelegate):
    """Calls the function. Attributes: as those of a handler's delegate; `handler`, from then on, is what
    writes the access line.
    """

    stream_request_body = False
    handler: RecordedConnection | None = None

    def __init__(
        self, request: HTTPServerRequest, delegate: CallableDelegate, connection: RecordedConnection
    ) -> None:
        self._request: Any = request
        self._delegate = delegate
        self._connection = connection

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        awaitable = self._delegate.headers_received(start_line, headers)
        made: Any = self._delegate.request
        found = self._request
        made.path, made.query, made.root_path = found.path, found.query, found.root_path
        return awaitable

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._delegate.data_received(chunk)

    def finish(self) -> None:
        self.handler = self._connection
        self._connection.watch()
        try:
            self._delegate.finish()
        except KeyboardInterrupt:
            raise
        except (HTTPInputError, RequestRefused):  # the client's fault: a form that can't be parsed
            self.handler = None
            self._connection.let_go()
            raise
        except BaseException as error:
            self._connection.fail(error)

    def on_connection_close(self) -> None:
        self._delegate.on_connection_close()


class RecordedConnection(HTTPConnection):
    """The connection of `request`, as the function sees it: what is written there is recorded as that of a
    handler is, and the access line is written when the reply is complete, or its client has left.
    """

    def __init__(self, application: Application, request: HTTPServerRequest) -> None:
        self._application = application
        self._request = request
        self._connection: Any = request.connection
        self._record = record_of(request)
        self._recorder = RecordTransform(request)
        self._close_callback: Callable[[], None] | None = None
        self._has_begun = self._is_logged = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def watch(self) -> None:
        """The function is about to be called: notice a client that leaves."""
        self._connection.set_close_callback(self._on_close)

    def let_go(self) -> None:
        """Somebody else writes the access line."""
        self._connection.set_close_callback(None)
        self._close_callback = None

    def hand_on(self) -> HTTPConnection:
        """The function has called another application, or a `Container`, which answers, and writes the
        access line. Returns the connection itself.
        """
        self.let_go()
        self._is_logged = True
        return cast(HTTPConnection, self._connection)

    def fail(self, error: BaseException) -> None:
        """The function has raised: answer 500, or cut the reply that it has begun."""
        connection, request, record = self._connection, self._request, self._record
        if self._is_logged:  # the reply is out, or somebody else's
            log_failure(record, error, _FAILED)
            return
        self.let_go()
        # On our own server even a head that was refused has begun the reply.
        has_begun = self._has_begun or getattr(connection, "response_started", False)
        if not (has_begun or is_left(connection)):
            self._is_logged = True
            fail(self._application, request, error, _FAILED).finish()
            return
        log_failure(record, error, _FAILED)
        record.note = record.note or "cut"
        if not is_left(connection):
            cut_reply(connection, is_delimited=request.version == "HTTP/1.1")
        self._log()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> Future[None]:
        assert isinstance(start_line, ResponseStartLine)
        is_final = start_line.code >= 200 or start_line.code == 101
        if is_final:
            headers = headers.copy()  # the function may use one object for all its replies
            self._recorder.transform_first_chunk(start_line.code, headers, b"", False)
        written: Future[None] = self._do(self._connection.write_headers, start_line, headers, chunk)
        self._has_begun = self._has_begun or is_final
        self._recorder.transform_chunk(chunk or b"", False)
        return written

    def write(self, chunk: bytes) -> Future[None]:
        written: Future[None] = self._do(self._connection.write, chunk)
        self._recorder.transform_chunk(chunk, False)
        return written

    def finish(self) -> None:
        self._recorder.transform_chunk(b"", True)
        self._do(self._connection.finish)
        self._log()
        self._close_callback = None  # no reference cycle

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        self._close_callback = callback

    def detach(self) -> IOStream:
        stream: IOStream = self._connection.detach()
        self._log()
        self._close_callback = None
        return stream

    def switch_protocols(self, protocol: Protocol) -> None:
        self._connection.switch_protocols(protocol)
        self._log()
        self._close_callback = None

    def _do(self, write: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return write(*arguments)
        except HTTPOutputError:  # more, or less, than the Content-Length says: the server closes
            self._record.note = "cut"
            raise

    def _on_close(self) -> None:
        callback, self._close_callback = self._close_callback, None
        self._log(is_left=True)
        if callback is not None:
            callback()

    def _log(self, *, is_left: bool = False) -> None:
        if self._is_logged:
            return
        self._is_logged = True
        connection, record = self._connection, self._record
        record.bytes_sent += getattr(connection, "file_bytes", 0)
        if not record.note and (is_left or getattr(connection, "fell_short", False)):
            is_stopped = self._application.is_cutting_short
            record.note = "stopped" if is_stopped else word_for(getattr(connection, "refused", 0))
        self._application.log_refused(record)
