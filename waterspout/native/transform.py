"""The output transform of all native replies."""

from __future__ import annotations

from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from waterspout.http.private import ReplyHeaders, is_all_sent
from waterspout.message.origin import SERVER
from waterspout.message.record import record_of
from waterspout.native.varying import MARK, say_cookie


class RecordTransform(OutputTransform):
    """Sees every native reply go out: counts it, and adds the request ID."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._request = request
        self._record = record_of(request)
        self._connection: Any = request.connection
        self._bodiless = request.method == "HEAD"  # what its handler writes is dropped after us

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        self._record.status = status_code
        headers["X-Request-Id"] = self._record.request_id
        if type(headers) is not ReplyHeaders and headers.get("Server", "").startswith("TornadoServer/"):
            headers["Server"] = SERVER  # the same for both sides, and without a version
        if MARK in self._request.__dict__:
            say_cookie(headers)
        if not self._bodiless:
            self._record.bytes_sent += len(chunk)
        if finishing:
            self._look_for_client()
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        if not self._bodiless:
            self._record.bytes_sent += len(chunk)
        if finishing:
            self._look_for_client()
        return chunk

    def _look_for_client(self) -> None:
        """For Tornado's own server, which closes after its last reply, before the access line is written:
        whether the client had left can't be told after that. Ours can tell: see `Exchange.fell_short`.
        """
        connection = self._connection
        if not isinstance(connection, HTTP1Connection) or connection.stream is None:
            return
        if connection.stream.closed() and not is_all_sent(connection):
            self._record.note = self._record.note or "client-left"
