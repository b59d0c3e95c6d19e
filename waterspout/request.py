"""Tornado's request object, made of what is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine, split_host_and_port

from waterspout.http.private import RequestHeaders
from waterspout.record import Record, make_request_id

#: With more fields than this a query is parsed at once, so that too many are refused where Tornado does it.
_FEW_FIELDS = 100


class Request(HTTPServerRequest):
    """An `HTTPServerRequest` whose head our server has judged. Most of its attributes come on demand: most
    handlers look at none of them, and making them costs more than the rest of a request.

    Attributes beyond Tornado's: `record`, the exchange record; `request_id`; `status` and `bytes_sent` of a
    reply that went out before there was a record; `opened`, as in the record.
    """

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
        # Not super().__init__: it parses.
        self.opened = time.perf_counter()
        self.method = method
        self.uri = target
        self.version = version
        self.path, self.query = parts
        self.connection = connection
        self.server_connection = server_connection
        if self.query and self.query.count("&") > _FEW_FIELDS:
            self.arguments = self._parse_query()

    @property
    def bodiless(self) -> bool:
        """No body will come."""
        return bool(self.connection.head.body_length == 0)

    def says(self, name: str) -> bool:
        """Whether there is a header field `name`, in lower case. `headers` need not be made for that."""
        headers = self.__dict__.get("headers")
        return name in (self.connection.head.names if headers is None else headers)

    def _parse_query(self) -> dict[str, list[bytes]]:
        plain = HTTPServerRequest(
            start_line=RequestStartLine("GET", "/?" + self.query, "HTTP/1.0"), headers=HTTPHeaders()
        )
        return plain.arguments

    def __getattr__(self, name: str) -> Any:
        """An attribute that has not been asked for before. Raises HTTPInputError: too many arguments."""
        make = _MAKERS.get(name)
        if make is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = make(self)
        setattr(self, name, value)
        return value

    def _parse_body(self) -> None:
        """Forms: Tornado's handler calls this. There is none without a Content-Type."""
        if self.says("content-type"):
            super()._parse_body()


def _copy_arguments(request: Request) -> dict[str, list[bytes]]:
    """The query's own arguments. Those of the body may have been added to `arguments` by now."""
    if not request.query:
        return {}
    return {name: list(values) for name, values in request._parse_query().items()}


def _make_headers(request: Request) -> HTTPHeaders:
    """The client's, and the request's id, so that a handler can pass it on."""
    head = request.connection.head
    headers = RequestHeaders(head.fields, head.names)
    headers["X-Request-Id"] = request.request_id
    return headers


def _make_id(request: Request) -> str:
    head = request.connection.head
    if "x-request-id" not in head.names:
        return make_request_id(None)
    return make_request_id(RequestHeaders(head.fields, head.names)["X-Request-Id"])


def _make_record(request: Request) -> Record:
    record = Record(
        "native", request.method or "", request.uri or "", request.remote_ip or "", request.request_id, request.opened
    )
    record.status, record.bytes_sent = request.status, request.bytes_sent
    return record


#: How an attribute is made that has not been asked for.
_MAKERS: Final[dict[str, Callable[[Request], Any]]] = {
    "arguments": lambda request: request._parse_query() if request.query else {},
    "query_arguments": _copy_arguments,
    "body_arguments": lambda _: {},
    "files": lambda _: {},
    "headers": _make_headers,
    # HTTP/1.0 need not say a Host; Tornado has this one then.
    "host": lambda request: request.connection.head.names.get("host", "127.0.0.1"),
    "host_name": lambda request: split_host_and_port(request.host.lower())[0],
    "protocol": lambda request: request.connection.context.protocol,
    "record": _make_record,
    "remote_ip": lambda request: request.connection.context.remote_ip,
    "request_id": _make_id,
    "_start_time": lambda request: time.time() - (time.perf_counter() - request.opened),
}
