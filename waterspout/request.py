"""Tornado's request object, parsed when it is looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine, split_host_and_port

#: With more fields than this a query is parsed at once, so that too many are refused where Tornado does it.
_FEW_FIELDS = 100


class Request(HTTPServerRequest):
    """An `HTTPServerRequest` whose Host has been judged. Arguments, files and `host_name` come on demand:
    most handlers look at none of them, and parsing the query twice costs more than the rest.

    Attributes beyond Tornado's: `record`, the exchange record, None until there is one; `bodiless`, no body
    will come.
    """

    def __init__(
        self, start_line: RequestStartLine, headers: HTTPHeaders, connection: Any, server_connection: object
    ) -> None:
        # Not super().__init__: it parses.
        self.method, self.uri, self.version = start_line
        self.headers = headers
        self.body = b""
        context = connection.context
        self.remote_ip = context.remote_ip
        self.protocol = context.protocol
        # HTTP/1.0 need not say a Host; Tornado has this one then.
        self.host = headers.get("Host", "127.0.0.1")
        self.connection = connection
        self.server_connection = server_connection
        self._start_time = time.time()
        self._finish_time = None
        self.path, _, self.query = self.uri.partition("?")
        self.record = None
        self.bodiless = connection.head.body_length == 0
        if self.query and self.query.count("&") > _FEW_FIELDS:
            self.arguments = self._parse_query()

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
        if "Content-Type" in self.headers:
            super()._parse_body()


def _copy_arguments(request: Request) -> dict[str, list[bytes]]:
    """The query's own arguments. Those of the body may have been added to `arguments` by now."""
    if not request.query:
        return {}
    return {name: list(values) for name, values in request._parse_query().items()}


#: How an attribute is made that has not been asked for.
_MAKERS: Final[dict[str, Callable[[Request], Any]]] = {
    "arguments": lambda request: request._parse_query() if request.query else {},
    "query_arguments": _copy_arguments,
    "body_arguments": lambda _: {},
    "files": lambda _: {},
    "host_name": lambda request: split_host_and_port(request.host.lower())[0],
}
