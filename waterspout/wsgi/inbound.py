"""The part of an exchange that faces its client: from a request's head to the pool."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)

from waterspout.closing import may_serve, wants_close
from waterspout.exceptions import RequestRefused
from waterspout.framing import CHUNKED, body_length
from waterspout.limits import HALF_CLOSED_QUEUED, SMALL_BODY
from waterspout.proxies import Proxies, find_ends, judge_once, verdict_of
from waterspout.record import Record, make_request_id, word_for
from waterspout.wsgi.frames import BODY, REQUEST, Headers, RequestHead, pack, serialize_request
from waterspout.wsgi.reply import Reply
from waterspout.wsgi.slow import SlowClient
from waterspout.wsgi.upload import Upload

#: For our own server, which keeps no header object that would have to be changed.
_NO_HEADERS: Final = HTTPHeaders()


class Inbound(SlowClient, HTTPMessageDelegate):
    """Judges a request's head, gathers its body as far as it must, and asks the pool for a lane.

    Attributes: `request`, set by whoever calls `execute()`; `allow`, the methods that native handlers own at
    this path, which none of them could answer.
    """

    # What most exchanges never change stands on the class.
    request: HTTPServerRequest | None = None
    allow: frozenset[str] = frozenset()
    _fields: Headers | None = None  # what the app is told, where that is not what the server keeps

    _connection: Any
    _proxies: Proxies
    _frames: bytes

    # -- the client's side: Tornado calls these ----------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, RequestStartLine)
        # The limit is ours, and so is the answer: 413, where Tornado would say 400.
        self._connection.set_max_body_size(sys.maxsize)
        if not self._open(start_line, headers) or not self._length:
            return
        self._upload = Upload()
        if self.expects_continue or self._length == CHUNKED or self._length > SMALL_BODY:
            # While the body is not read, this alone tells that the client has left.
            self._connection.stream.set_close_callback(self.on_connection_close)
            self._collect()
        # Else `finish` submits: at once when there is no body, or when a small one is here.

    def open_whole(self) -> None:
        """`headers_received` and `finish` in one: the request has no body, and our own server has judged it.

        Most requests: without headers and start line of Tornado's they cost a fifth less.
        """
        connection = self._connection
        head, remote_ip, names = connection.head, connection.context.remote_ip, connection.head.names
        request_id = make_request_id(names.get("x-request-id"))
        self.record = record = Record("wsgi", head.method, head.target, remote_ip, request_id)
        verdict, root_path = connection.verdict, ""
        if verdict is not None:
            record.root_path = root_path = verdict.root_path
        self._reply = Reply(connection, head.version, _NO_HEADERS, record)
        connection.close_callback = self.on_connection_close
        self._submitted = True
        connection.half_close_grace = HALF_CLOSED_QUEUED
        length = names.get("content-length", "")
        self._frames = pack(
            REQUEST,
            serialize_request(
                RequestHead(
                    0,
                    verdict is not None and verdict.disbelieved,
                    head.method,
                    head.target,
                    head.version,
                    request_id,
                    length,
                    *find_ends(connection),
                    root_path,
                    ", ".join(sorted(self.allow)) if self.allow else "",
                    head.fields,
                )
            ),
        )
        self._pool.submit(self)

    def data_received(self, chunk: bytes) -> asyncio.Future[None] | None:
        if not isinstance(self._upload, Upload):
            return None  # of a request that is not served: Tornado's server reads on
        self.received += len(chunk)
        if self._upload.discarding:
            return self._upload.wait() if self._reply.discard(len(chunk)) else None
        if self.received > self._max_body_size:
            self._refuse_body()
        if not self._on_demand:
            self._upload.collect(chunk)
            return None
        if not self._submitted and not self._concluded:
            # First: what comes behind a lane goes there, and not by way of a disk.
            self._admission.advance(self)
        return self._upload.receive(chunk)

    def finish(self) -> None:
        self._upload.end()
        if self._known:
            self._admission.leave(self)
        if self._reply.lingers:
            self._reply.finish()
        elif not self._submitted and not self._concluded:
            self._submit(None if self._on_demand else self._upload.take())

    def on_connection_close(self) -> None:
        """The client is gone, or broke its framing: the view's read() shall fail and its iterable close."""
        self._reply.abandon()
        if not self._concluded:
            refused = getattr(self._connection, "refused", 0)
            self.record.status = self.record.status or refused
            self._abandon(
                "its body came too slowly"
                if refused == 408
                else "the client left, or broke its framing, before its request's body was whole"
            )
            self._conclude(word_for(refused))

    def execute(self) -> None:
        """Serve `request`, whose body is here as a whole, as Tornado hands it to a fallback."""
        request = self.request
        assert request is not None
        assert request.method is not None
        assert request.uri is not None
        start_line = RequestStartLine(request.method, request.uri, request.version)
        if request.body:
            self._upload = Upload()
            self._upload.end()
        if not self._open(start_line, request.headers):
            return
        self.expects_continue = False  # the body is here
        if len(request.body) > self._max_body_size:
            self._answer(413, "body-too-large", close=True)
        elif len(request.body) > SMALL_BODY:
            self._upload.receive(request.body)
            self._submit(None)
        else:
            self._submit(request.body)

    # -- opening -----------------------------------------------------------------------------------------

    def _open(self, start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
        """Judge the head. False: the request is answered already, or not to be answered at all."""
        connection = self._connection
        verdict = judge_once(self._proxies, connection, start_line, headers)
        if verdict is not None:
            start_line = start_line._replace(path=verdict.target)
        self._start_line, self._headers = start_line, headers
        request_id = make_request_id(headers.get("X-Request-Id"))
        record = Record("wsgi", start_line[0], start_line[1], connection.context.remote_ip, request_id)
        self.record = record
        if verdict is not None:
            record.root_path = verdict.root_path
        self._reply = Reply(connection, start_line[2], headers, record)
        if getattr(connection, "strict", False) and not connection.params.decompress:
            head = connection.head
            self._length = head.body_length
            expects = self.expects_continue = head.expects_continue
            connection.close_callback = self.on_connection_close
        elif not self._judge(start_line, headers):
            return False
        else:
            expects = "Expect" in headers and headers["Expect"].lower() == "100-continue"
            self.expects_continue = expects and start_line.version == "HTTP/1.1" and self._length != 0
        if expects:
            # Ours to answer, when the view first reads (RFC 9110 section 10.1.1); Tornado would at once. The
            # app sees the field all the same.
            self._fields = list(headers.get_all())
            del headers["Expect"]
        if self._length > self._max_body_size:
            self._refuse_body()
            return False
        if verdict is not None and verdict.outside:
            self._answer(404, "outside", close=self._length != 0)
            return False
        return True

    def _judge(self, start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
        """What Tornado's server leaves to be judged: False, the request is not to be run."""
        if not may_serve(self._connection):
            self._upload.discard()
            self._concluded = True
            return False
        if wants_close(headers):
            self._reply.close_when_done()
        self._connection.set_close_callback(self.on_connection_close)
        try:
            self._length = body_length(
                start_line.version,
                headers.get_list("Content-Length"),
                headers.get_list("Transfer-Encoding"),
                unpacked=self._is_unpacked(headers),
            )
        except RequestRefused as refused:
            self._answer(refused.status, "bad-framing", close=True, linger=False)
            return False
        return True

    def _is_unpacked(self, headers: HTTPHeaders) -> bool:
        """Whether Tornado's `decompress_request` changed the body on its way (the header alone may lie)."""
        params = getattr(self._connection, "params", None)
        return bool(getattr(params, "decompress", False)) and "X-Consumed-Content-Encoding" in headers

    def _build_head(self, body_length: int) -> RequestHead:
        start_line, headers = self._start_line, self._headers
        verdict = verdict_of(self._connection)
        return RequestHead(
            body_length,
            verdict is not None and verdict.disbelieved,
            *start_line,
            self.record.request_id,
            # With `decompress_request` the field is the length of what Tornado unpacked.
            "" if self._length == CHUNKED else headers.get("Content-Length", ""),
            *find_ends(self._connection),
            self.record.root_path,
            ", ".join(sorted(self.allow)) if self.allow else "",
            list(headers.get_all()) if self._fields is None else self._fields,
        )

    def run_unfinished(self) -> None:
        self._submit(None)

    def _submit(self, small_body: bytes | None) -> None:
        """Ask for a lane. `small_body`: all of it; None: the view gets it on demand."""
        self._submitted = True
        self._on_demand = small_body is None
        length = -1 if small_body is None else len(small_body)
        self._frames = pack(REQUEST, serialize_request(self._build_head(length)))
        if small_body:
            self._frames += pack(BODY, small_body)
        # A client that sends no more counts as gone, when it then has to wait for a lane: it is never run.
        self._connection.half_close_grace = HALF_CLOSED_QUEUED
        self.record.submitted = time.perf_counter()
        self._pool.submit(self)
