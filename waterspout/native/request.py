"""Tornado's request object, with attributes that are made when first read."""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from typing import Any, Generic, TypeVar, overload

from tornado import httputil
from tornado.escape import parse_qs_bytes
from tornado.httputil import (
    HTTPFile,
    HTTPHeaders,
    HTTPInputError,
    HTTPServerRequest,
    RequestStartLine,
    split_host_and_port,
)

from waterspout.http.private import RequestHeaders, max_arguments
from waterspout.message.record import Record, make_request_id
from waterspout.native.original import original

#: A query with more fields than this is parsed at once, so that too many are refused where Tornado does so.
_FEW_FIELDS = 100

#: What somebody has put in their place is called.
_OWN_INIT = original(HTTPServerRequest.__init__, httputil)
_OWN_PARSE = original(httputil.parse_body_arguments, httputil)
#: The types that Tornado parses.
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
Value = TypeVar("Value")


class on_demand(Generic[Value]):
    """A method's result as an attribute, made when first read; a value set before that wins."""

    def __init__(self, make: Callable[[Any], Value]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    @overload
    def __get__(self, request: None, owner: Any = None) -> on_demand[Value]: ...
    @overload
    def __get__(self, request: object, owner: Any = None) -> Value: ...
    def __get__(self, request: object | None, owner: Any = None) -> Value | on_demand[Value]:
        if request is None:
            return self
        value = request.__dict__[self._name] = self._make(request)
        return value


class Request(HTTPServerRequest):
    """An `HTTPServerRequest` whose head our server has checked. Most attributes are made on demand: most
    handlers read none of them, and making them costs more than the rest of a request.

    Attributes beyond Tornado's: `root_path`, the part of `uri` before `path`, "" or a path without a trailing
    slash, for links; `record`, the exchange record; `request_id`; `status` and `bytes_sent` of a reply that
    went out before there was a record; `opened`, as in the record.
    """

    connection: Any
    body = b""
    bytes_sent = 0
    status = 0
    _finish_time = None

    def __init__(
        self,
        method: str,
        target: str,
        version: str,
        parts: tuple[str, str],
        connection: Any,
        server_connection: object,
    ) -> None:
        """`parts`: path and query of `target`. Raises HTTPInputError: too many arguments."""
        self.opened = time.perf_counter()
        self.connection = connection
        if HTTPServerRequest.__init__ is not _OWN_INIT:
            # Somebody has replaced it, to hide clients' addresses, say: nothing may be read before that.
            line = RequestStartLine(method, target, version)
            super().__init__(None, None, version, self.headers, connection=connection, start_line=line)
        # Otherwise not super().__init__: it parses.
        self.method = method
        self.uri = target
        self.version = version
        self.path, self.query = parts
        self.server_connection = server_connection
        if self.query and self.query.count("&") >= min(_FEW_FIELDS, max_arguments()):
            self.arguments = self._parse_query()

    @on_demand
    def root_path(self) -> str:
        verdict = self.connection.verdict
        return "" if verdict is None else str(verdict.root_path)

    @property
    def bodiless(self) -> bool:
        """No body will come."""
        return bool(self.connection.head.body_length == 0)

    def says(self, name: str) -> bool:
        """Whether there is a header field `name` (lower case). Doesn't need `headers` to be made."""
        headers = self.__dict__.get("headers")
        return name in (self.connection.head.names if headers is None else headers)

    @on_demand
    def headers(self) -> HTTPHeaders:
        """The client's fields, and the request ID, so that a handler can pass it on."""
        head = self.connection.head
        headers = RequestHeaders(head.fields, head.names)
        headers["X-Request-Id"] = self.request_id
        return headers

    def settle(self) -> None:
        """The connection leaves HTTP and may stay open for days: don't keep the head twice. That took a
        quarter of the memory of a browser's idle WebSocket.
        """
        headers = self.headers
        if isinstance(headers, RequestHeaders) and (names := headers.settle()) is not None:
            # A copy: another request may share the same head object.
            head = self.connection.head = copy(self.connection.head)
            head.fields, head.names = headers.fields, names

    @on_demand
    def request_id(self) -> str:
        head = self.connection.head
        if "x-request-id" not in head.names:
            return make_request_id(None)
        return make_request_id(RequestHeaders(head.fields, head.names)["X-Request-Id"])

    @on_demand
    def record(self) -> Record:
        method, target = self.method or "", self.uri or ""
        record = Record("native", method, target, self.remote_ip or "", self.request_id, self.opened)
        record.status, record.bytes_sent = self.status, self.bytes_sent
        return record

    @on_demand
    def host(self) -> str:
        """HTTP/1.0 may omit it; the default is Tornado's."""
        return str(self.connection.head.names.get("host", "127.0.0.1"))

    @on_demand
    def host_name(self) -> str:
        return split_host_and_port(self.host.lower())[0]

    @on_demand
    def protocol(self) -> str:
        return str(self.connection.context.protocol)

    @on_demand
    def remote_ip(self) -> Any:
        return self.connection.context.remote_ip

    @on_demand
    def _start_time(self) -> float:
        return time.time() - (time.perf_counter() - self.opened)

    # Each of these raises HTTPInputError: too many arguments.

    @on_demand
    def arguments(self) -> dict[str, list[bytes]]:
        return self._parse_query()

    @on_demand
    def query_arguments(self) -> dict[str, list[bytes]]:
        """Those of the query alone. Those of the body may have been added to `arguments` by now."""
        return self._parse_query()

    @on_demand
    def body_arguments(self) -> dict[str, list[bytes]]:
        return {}

    @on_demand
    def files(self) -> dict[str, list[HTTPFile]]:
        return {}

    def _parse_query(self) -> dict[str, list[bytes]]:
        try:
            return parse_qs_bytes(self.query, keep_blank_values=True, max_num_fields=max_arguments())
        except Exception as error:
            raise HTTPInputError(f"Invalid query string: {error}") from error

    def _parse_body(self) -> None:
        """Parse a form; called by Tornado's handler. No other body is parsed, or even read, unless somebody
        has taught Tornado to.
        """
        if httputil.parse_body_arguments is not _OWN_PARSE or (
            self.says("content-type") and self.headers["Content-Type"].startswith(_FORMS)
        ):
            super()._parse_body()
