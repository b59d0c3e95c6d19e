"""The output transforms of native replies.

Sets Tornado's private `_gzipping` (6.6.1)."""

from __future__ import annotations

import logging
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import GZipContentEncoding, OutputTransform

from waterspout.http.exchange import Exchange
from waterspout.http.private import ReplyHeaders, is_all_sent
from waterspout.message.origin import SERVER
from waterspout.message.record import record_of
from waterspout.native.varying import MARK, say_cookie

_logger = logging.getLogger(__name__)
_has_complained = False


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
        if "Transfer-Encoding" in headers:
            # RFC 9112 section 6.2: never beside a Content-Length; and what is not chunked must not say so.
            del headers["Transfer-Encoding"]
            _complain(f"{self._request.method} {self._request.path}")
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
        if isinstance(connection, Exchange) or not isinstance(connection, HTTP1Connection):
            return
        if connection.stream is not None and connection.stream.closed() and not is_all_sent(connection):
            self._record.note = self._record.note or "client-left"


class CompressWhole(GZipContentEncoding):
    """Tornado's compression, but not of a range: its Content-Range counts bytes that are not compressed."""

    def __init__(self, request: HTTPServerRequest) -> None:
        super().__init__(request)
        self._kept = request.headers.get("If-None-Match", "") if self._gzipping else ""

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        if status_code == 206:
            self._gzipping = False
        status_code, headers, chunk = super().transform_first_chunk(status_code, headers, chunk, finishing)
        etag = headers.get("Etag", "")
        # RFC 9110 section 8.8.3: these are other bytes than those of a range, so its ETag must differ. A 304
        # has that of what it stands for (section 15.4.5): only the client can say which of the two it has.
        if etag.startswith('"') and (self._gzipping or (status_code == 304 and f"W/{etag}" in self._kept)):
            headers["Etag"] = f"W/{etag}"
        return status_code, headers, chunk


def _complain(where: str) -> None:
    global _has_complained
    if not _has_complained:
        _has_complained = True
        _logger.warning(
            "%s: the handler sets Transfer-Encoding, which is up to the server: dropped (logged once)", where
        )
