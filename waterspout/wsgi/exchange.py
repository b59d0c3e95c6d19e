"""One request and its reply, seen from the event loop: between Tornado's connection and a lane."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

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
from waterspout.limits import SMALL_BODY
from waterspout.origin import find_local_address
from waterspout.record import Record, make_request_id
from waterspout.wsgi.admission import Admission
from waterspout.wsgi.frames import BODY, CUT, REQUEST, ReplyHead, RequestHead, pack, serialize_request
from waterspout.wsgi.lane import Lane
from waterspout.wsgi.reply import Reply
from waterspout.wsgi.slow import SlowClient
from waterspout.wsgi.upload import Upload


class Dispatcher(Protocol):
    """The part of a pool that an exchange uses."""

    def submit(self, exchange: Exchange) -> None:
        """`start` it on a lane, now or when one is free, or `refuse` it."""

    def withdraw(self, exchange: Exchange) -> None:
        """It waits in the queue, and nobody waits for it any more."""


class Exchange(SlowClient, HTTPMessageDelegate):
    """Carries a request to a lane and the reply back.

    `connection`: Tornado's `HTTPConnection`. `max_body_size` in bytes. `is_trusted` tells whether the peer
    of an address may speak for clients behind it.

    A small body travels with its request, once it is whole; a larger one, if `admission` allows, as the
    view asks for it.

    Attributes: `request`, set by whoever calls `execute()`.
    """

    def __init__(
        self,
        pool: Dispatcher,
        connection: Any,
        *,
        admission: Admission,
        max_body_size: int,
        is_trusted: Callable[[str], bool],
    ) -> None:
        self._pool = pool
        self._admission = admission
        self._connection = connection
        self._max_body_size = max_body_size
        self._is_trusted = is_trusted
        self._upload = Upload()
        self._length = 0
        self._frames = b""
        self._lane: Lane | None = None
        self.request: HTTPServerRequest | None = None

    # -- the client's side: Tornado calls these ----------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, RequestStartLine)
        # The limit is ours, and so is the answer: 413, where Tornado would say 400.
        self._connection.set_max_body_size(sys.maxsize)
        if not self._open(start_line, headers):
            return
        if self._expects_continue or self._length == CHUNKED or self._length > SMALL_BODY:
            # While the body is not read, this alone tells that the client has left.
            self._connection.stream.set_close_callback(self.on_connection_close)
            self._collect()
        # Else `finish` submits: at once when there is no body, or when a small one is here.

    def data_received(self, chunk: bytes) -> asyncio.Future[None] | None:
        self._received += len(chunk)
        if self._upload.discarding:
            return self._upload.wait() if self._reply.discard(len(chunk)) else None
        if self._received > self._max_body_size:
            self._refuse_body()
        if not self._on_demand:
            self._upload.collect(chunk)
            return None
        room = self._upload.receive(chunk)
        if not self._submitted and not self._concluded:
            self._admission.advance(self)
        return room

    def finish(self) -> None:
        self._upload.end()
        if self._on_demand:
            self._admission.leave(self)
        if self._reply.lingers:
            self._reply.finish()
        elif not self._submitted and not self._concluded:
            self._submit(None if self._on_demand else self._upload.take())

    def on_connection_close(self) -> None:
        """The client is gone, or broke its framing: the view's read() shall fail and its iterable close."""
        self._reply.abandon()
        if not self._concluded:
            self._abandon("the client left before its request's body was whole")
            self._conclude("client-left")

    def execute(self) -> None:
        """Serve `request`, whose body is here as a whole, as Tornado hands it to a fallback."""
        request = self.request
        assert request is not None
        assert request.method is not None
        assert request.uri is not None
        self._upload.end()
        start_line = RequestStartLine(request.method, request.uri, request.version)
        if not self._open(start_line, request.headers):
            return
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
        request_id = make_request_id(headers.get("X-Request-Id"))
        self._record = Record(
            "wsgi", start_line.method, start_line.path, connection.context.remote_ip, request_id
        )
        self._reply = Reply(connection, start_line.version, headers, self._record)
        if getattr(connection, "strict", False) and not connection.params.decompress:
            self._length = connection.head.body_length
            connection.set_close_callback(self.on_connection_close)
        elif not self._judge(start_line, headers):
            return False
        expects = "Expect" in headers and headers["Expect"].lower() == "100-continue"
        self._expects_continue = expects and start_line.version == "HTTP/1.1" and self._length != 0
        self._head = self._build_head(start_line, headers)
        if expects:
            # Ours to answer, when the view first reads (RFC 9110 section 10.1.1); Tornado would at once.
            del headers["Expect"]
        if self._length > self._max_body_size:
            self._refuse_body()
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

    def _build_head(self, start_line: RequestStartLine, headers: HTTPHeaders) -> RequestHead:
        context = self._connection.context
        address = getattr(context, "address", None)
        server_name, server_port = self._local_address()
        return RequestHead(
            method=start_line.method,
            target=start_line.path,
            version=start_line.version,
            scheme=context.protocol,
            remote_addr=self._record.remote_addr,
            remote_port=str(address[1]) if isinstance(address, tuple) else "",
            server_name=server_name,
            server_port=server_port,
            request_id=self._record.request_id,
            # With `decompress_request` the field is the length of what Tornado unpacked.
            content_length="" if self._length == CHUNKED else headers.get("Content-Length", ""),
            trusted=self._is_trusted(self._record.remote_addr),
            body_length=-1,
            headers=list(headers.get_all()),
        )

    def _local_address(self) -> tuple[str, str]:
        """SERVER_NAME and SERVER_PORT: where the client came in. A UNIX socket has neither.

        Kept on the context, which lives as long as the connection: a system call less for each request.
        """
        context = self._connection.context
        known: tuple[str, str] | None = getattr(context, "local_address", None)
        if known is None:
            known = context.local_address = find_local_address(self._connection.stream, context.protocol)
        return known

    def _submit(self, small_body: bytes | None) -> None:
        """Ask for a lane. `small_body`: all of it; None: the view gets it on demand."""
        self._submitted = True
        self._on_demand = small_body is None
        length = -1 if small_body is None else len(small_body)
        self._frames = pack(REQUEST, serialize_request(self._head._replace(body_length=length)))
        if small_body:
            self._frames += pack(BODY, small_body)
        # While it waits for a lane, a client that sends no more counts as gone: it is never run then.
        self._connection.half_close_grace = 0.0
        self._pool.submit(self)

    # -- the pool's side: it calls one of these, once ----------------------------------------------------

    def start(self, lane: Lane) -> None:
        """A lane is free: go."""
        self._lane = lane
        # It runs anyway, and a client that has only closed its sending side waits for what it gives.
        self._connection.half_close_grace = math.inf
        self._record.started = time.perf_counter()
        lane.begin(self, self._frames)
        if self._on_demand:
            self._upload.attach(lane)

    def refuse(self, status: int) -> None:
        """There is no lane for this request, and won't be soon."""
        self._answer(status, "no-lane")

    # -- the worker's side: the lane calls these ---------------------------------------------------------

    def on_read(self, credit: int) -> None:
        """The view reads. It may do so behind the end of the reply, of a body that is here."""
        if self._expects_continue and not self._reply.begun:
            self.say_continue()
        self._upload.grant(credit)

    def on_reply(self, head: ReplyHead | None, data: bytes, end: bytes | None) -> None:
        if self._concluded:
            return
        if self._download is not None:
            self._store_reply(self._download, data, end)
            return
        if head is not None:
            self._reply.begin(head, data)
        elif data:
            self._reply.write(data)
        if end == CUT:
            self._cut("cut")
        elif end is not None:
            self._end()
        elif self._lane is not None and not self._reply.when_flushed(self._resume):
            self._hold_up(self._lane)

    def on_lane_lost(self, unread: bool) -> None:
        """The worker died under the request. It may have done half its work: it is not run again, unless
        the worker was dead before it could read it.
        """
        self._lane = None
        if self._concluded:
            return
        if unread:
            self._upload.detach()
            self._pool.submit(self)
        elif self._download is not None:
            self._lose_lane(self._download)
        elif self._reply.begun:
            self._cut("process-died")
        else:
            self._answer(502, "process-died")

    # -- endings -----------------------------------------------------------------------------------------

    def _end(self, note: str = "", *, linger: bool = True) -> None:
        """The reply is whole. If the body is not, and the client is sending it, read on for a moment."""
        waits_for_continue = self._expects_continue and not self._received
        is_read = self._upload.whole
        self._conclude(note)
        if is_read or waits_for_continue or not linger:
            self._reply.finish()
        else:
            self._reply.finish_later()

    def _cut(self, note: str, *, at_once: bool = False) -> None:
        self._reply.cut(at_once=at_once)
        self._conclude(note)

    def _answer(self, status: int, note: str, *, close: bool = False, linger: bool = True) -> None:
        """The server's own answer, instead of the app's."""
        self._reply.answer(status, close=close)
        self._end(note, linger=linger)

    def _refuse_body(self) -> None:
        """The body is, or turns out to be, larger than allowed."""
        self._abandon(f"the request's body is over the limit of {self._max_body_size} bytes")
        if self._reply.begun:
            self._cut("body-too-large")
        else:
            # What is beyond sys.maxsize Tornado refuses to read, so there is nothing to wait for.
            self._answer(413, "body-too-large", close=True, linger=self._length < sys.maxsize)

    def _abandon(self, reason: str) -> None:
        """The app need not go on; `reason` is what its reads of the body will say."""
        if self._lane is not None:
            self._lane.cancel(reason)
            self._lane = None
        elif self._submitted:
            self._pool.withdraw(self)

    def _conclude(self, note: str) -> None:
        """The one way out: nobody waits for this exchange any more, on either side."""
        self._concluded = True
        self._record.note = note
        self._record.log()
        if self._known:
            self._forget()
        self._let_go()

    def _let_go(self) -> None:
        """The reply is whole as far as the worker is concerned: it may come to its end."""
        lane, self._lane = self._lane, None
        if self._upload.whole and self._upload.spool is None:
            if lane is not None:
                lane.resume()  # whatever was held back for a slow client: only IDLE and READ can follow
            return
        self._upload.discard()
        if lane is not None:
            lane.cancel("the reply was whole before the request's body was")
