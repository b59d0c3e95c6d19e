"""Finds a request's delegate as Tornado does: `start_request` is called first, and the head comes later."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    split_host_and_port,
)

from waterspout.exceptions import RequestRefused
from waterspout.message.proxies import Proxies, Verdict, judge_once, verdict_of
from waterspout.message.record import log_refusal, make_request_id
from waterspout.native.request import Request

if TYPE_CHECKING:
    from waterspout.application import Application


class Opening(HTTPMessageDelegate):
    """A request whose head has not come yet: the head decides which delegate it gets."""

    def __init__(
        self, application: Application, server_connection: object, connection: HTTPConnection
    ) -> None:
        self._application = application
        self._server_connection = server_connection
        self._connection = connection
        self._delegate: Any = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        try:
            request, start_line = self._open(start_line, headers)
        except HTTPInputError as error:
            self._log_refusal(start_line, headers, error)
            raise
        delegate: Any = self._application.find_handler(request)
        self._delegate = delegate
        # From here on the server calls it directly.
        self.data_received = delegate.data_received  # type: ignore[method-assign]
        self.finish = delegate.finish  # type: ignore[method-assign]
        self.on_connection_close = delegate.on_connection_close  # type: ignore[method-assign]
        started: Awaitable[None] | None = delegate.headers_received(start_line, headers)
        return started

    def _log_refusal(self, start_line: RequestStartLine, headers: HTTPHeaders, error: HTTPInputError) -> None:
        context: Any = getattr(self._connection, "context", None)
        log_refusal(
            getattr(context, "remote_ip", "-"),
            RequestRefused(400, str(error)),
            start_line.method,
            start_line.path,
            make_request_id(headers.get("X-Request-Id")),
        )

    def _open(
        self, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> tuple[HTTPServerRequest, RequestStartLine]:
        """The request, and its start line as rules and views see it. Raises HTTPInputError."""
        # A reply of 2xx would make a tunnel of a proxy's connection (RFC 9110 section 9.3.6): what the client
        # then sends would come without the fields that the proxy sets.
        if start_line.method == "CONNECT":
            raise HTTPInputError("CONNECT")
        # A query is opaque (RFC 3986 section 3.4): it may hold binary values.
        if "%00" in start_line.path.partition("?")[0]:
            raise HTTPInputError("a NUL in the path")
        verdict = judge_once(self._application.proxies, self._connection, start_line, headers)
        if verdict is not None:
            start_line = start_line._replace(path=verdict.target)
        request: HTTPServerRequest
        if getattr(headers, "judged", False):
            request = self._make_request(start_line, headers)
        else:
            request = HTTPServerRequest(
                connection=self._connection,
                server_connection=self._server_connection,
                start_line=start_line,
                headers=headers,
            )
        place(request, verdict)
        return request, start_line

    def _make_request(self, start_line: RequestStartLine, headers: HTTPHeaders) -> Request:
        path, _, query = start_line.path.partition("?")
        request = Request(*start_line, (path, query), self._connection, self._server_connection)
        # As they are at this moment: a layer between us and the server may change them, and change them back.
        context: Any = self._connection.context  # type: ignore[attr-defined]  # our server's has one
        request.headers = headers
        request.remote_ip, request.protocol = context.remote_ip, context.protocol
        return request

    # For callers that bound these methods before the head came.

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        received: Awaitable[None] | None = self._delegate.data_received(chunk)
        return received

    def finish(self) -> None:
        self._delegate.finish()

    def on_connection_close(self) -> None:
        if self._delegate is not None:
            self._delegate.on_connection_close()


def place(request: Any, verdict: Verdict | None) -> None:
    """Set a request's path and root path. Tornado's request takes any attribute."""
    request.root_path = ""
    if verdict is not None:
        request.path, request.root_path = verdict.path, verdict.root_path


def adopt(proxies: Proxies, request: Any) -> None:
    """Judge a request that the router of another application, which contains ours, has opened."""
    connection = request.connection
    start_line = RequestStartLine(request.method, request.uri, request.version)
    verdict = judge_once(proxies, connection, start_line, request.headers)
    if verdict is not None:
        request.uri, request.query = verdict.target, verdict.target.partition("?")[2]
        request.remote_ip, request.protocol = connection.context.remote_ip, connection.context.protocol
        request.host = request.headers.get("Host", request.host)
        request.host_name = split_host_and_port(request.host.lower())[0]
    place(request, verdict)


def is_outside(request: Any) -> bool:
    """Whether its path is not below the configured root path."""
    verdict = verdict_of(request.connection)
    return verdict is not None and verdict.outside
