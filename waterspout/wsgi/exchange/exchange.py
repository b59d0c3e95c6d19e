"""One request and its reply, seen from the event loop: between Tornado's connection and a lane."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from typing import Any, Final

from tornado.escape import utf8
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import FallbackHandler

from waterspout.exceptions import RequestRefused
from waterspout.limits import HALF_CLOSED_QUEUED, SMALL_BODY, WRITE_TIMEOUT
from waterspout.message.closing import may_serve, wants_close
from waterspout.message.framing import CHUNKED, body_length
from waterspout.message.proxies import Proxies, find_ends, judge_once, verdict_of
from waterspout.message.record import Record, make_request_id, word_for
from waterspout.message.size import lower_limit
from waterspout.message.upgrade import asks_for_websocket
from waterspout.wsgi.backlog import Answer, fits
from waterspout.wsgi.exchange.concluding import Dispatcher
from waterspout.wsgi.exchange.reply import Reply
from waterspout.wsgi.exchange.slow import SlowClient
from waterspout.wsgi.exchange.tunnel import Tunnel
from waterspout.wsgi.exchange.upload import Upload
from waterspout.wsgi.frames import (
    BODY,
    CUT,
    REQUEST,
    UPGRADE,
    WHOLE,
    Headers,
    ReplyHead,
    RequestHead,
    pack,
    serialize_request,
)
from waterspout.wsgi.lanes.lane import Lane

#: For our own server, which has no header object that would have to be changed.
_NO_HEADERS: Final = HTTPHeaders()


class Exchange(SlowClient, HTTPMessageDelegate):
    """Judges a request's head, and carries the request to a lane and the reply back.

    `connection`: Tornado's `HTTPConnection`. `max_body_size` in bytes. `proxies` decide who the client is,
    unless that has been decided before.

    A small body travels with its request, once it is whole; a larger one is sent as the view asks for it.

    Attributes: `request`, set by the caller of `execute()`; `allow`, the methods that native handlers own at
    this path, none of which could answer; `varies`, one of them has declined it because of its cookies.
    """

    # What most exchanges never change is set on the class.
    request: HTTPServerRequest | None = None
    handler_class = FallbackHandler  # for an overridden `find_handler`: in Tornado it is who answers
    allow: frozenset[str] = frozenset()
    varies = False
    _fields: Headers | None = None  # what the app gets, where that differs from what the server keeps
    _half_closed = False
    _asks_for_upgrade = False

    _frames: bytes

    def __init__(
        self,
        pool: Dispatcher,
        connection: Any,
        *,
        max_body_size: int,
        proxies: Proxies,
    ) -> None:
        self._pool = pool
        self._connection = connection
        self._max_body_size = max_body_size
        self._proxies = proxies

    # -- the client's side: Tornado calls these ----------------------------------------------------------

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, RequestStartLine)
        # We enforce the limit, and answer with 413, where Tornado would send 400.
        self._max_body_size = lower_limit(self._connection, self._max_body_size)
        self._connection.set_max_body_size(sys.maxsize)
        if not self._open(start_line, headers) or not self._length:
            return
        self._upload = Upload()
        if self.expects_continue or self._length == CHUNKED or self._length > SMALL_BODY:
            # While the body is not being read, only this shows that the client has left.
            self._connection.stream.set_close_callback(self.on_connection_close)
            self._collect()
        # Otherwise `finish` submits: at once when there is no body, or when a small one has arrived.

    def open_whole(self) -> None:
        """`headers_received` and `finish` in one: the request has no body, and our own server has judged it.

        Most requests are like that; without Tornado's headers and start line they cost a fifth less.
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
                    False,  # one that a handler has declined is not opened here
                    head.fields,
                )
            ),
        )
        self._pool.submit(self)

    def data_received(self, chunk: bytes) -> asyncio.Future[None] | None:
        if not isinstance(self._upload, Upload):
            return None  # the request is not served: Tornado's server keeps reading
        self.received += len(chunk)
        if self._upload.discarding:
            return self._upload.wait() if self._reply.discard(len(chunk)) else None
        if self.received > self._max_body_size:
            self._refuse_body()
        if not self._on_demand:
            self._upload.collect(chunk)
            return None
        if not self._submitted and not self._concluded:
            # First: once there is a lane, the chunk goes there, and not through the disk.
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
        """The client left, or broke its framing: let the view's read() fail and its iterable be closed."""
        self._reply.abandon()
        if not self._concluded:
            refused = getattr(self._connection, "refused", 0)
            self.record.status = self.record.status or refused
            self._abandon(
                "the client sent the request's body too slowly"
                if refused == 408
                else "the client left, or broke the framing, before the request's body was complete"
            )
            self._conclude(word_for(refused))

    def execute(self) -> None:
        """Serve `request`, whose whole body is here, as Tornado passes it to a fallback."""
        request = self.request
        assert request is not None
        assert request.method is not None
        assert request.uri is not None
        start_line = RequestStartLine(request.method, request.uri, request.version)
        if not isinstance(request.body, (bytes, bytearray, memoryview)):
            request.body = utf8(request.body) or b""  # a handler has set it
        if request.body:
            self._upload = Upload()
            self._upload.end()
        if not self._open(start_line, request.headers):
            return
        if getattr(self._connection, "is_lost", False):
            self.on_connection_close()  # while a handler was waiting for something else
            return
        self.expects_continue = False  # the body is here
        if self._length not in (CHUNKED, len(request.body)):  # a handler has replaced the body
            self._length = len(request.body)
            request.headers["Content-Length"] = str(self._length)
        if len(request.body) > self._max_body_size:
            self._answer(413, "body-too-large", close=True)
        elif len(request.body) > SMALL_BODY:
            self._upload.receive(request.body)
            self._submit(None)
        else:
            self._submit(None if self._asks_for_upgrade else request.body)

    # -- opening -----------------------------------------------------------------------------------------

    def _open(self, start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
        """Judge the head. False: the request has been answered already, or must not be answered at all."""
        connection = self._connection
        verdict = judge_once(self._proxies, connection, start_line, headers)
        if verdict is not None:
            start_line = start_line._replace(path=verdict.target)
        self._start_line, self._headers = start_line, headers
        request_id = connection.request_id = make_request_id(headers.get("X-Request-Id"))
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
            # We answer it when the view first reads (RFC 9110 section 10.1.1); Tornado would at once. The
            # app still sees the field.
            self._fields = list(headers.get_all())
            del headers["Expect"]
        if self._length > self._max_body_size:
            self._refuse_body()
            return False
        if verdict is not None and verdict.outside:
            # Our server closes the connection in the middle of a request that is not handed over whole.
            self._answer(404, "outside", close=self._length != 0 or self.request is None)
            return False
        fields = headers.get("Upgrade", ""), headers.get("Connection", "")
        if not self._length and asks_for_websocket(start_line[0], start_line[2], *fields):
            self._asks_for_upgrade = self._on_demand = True
        return True

    def _judge(self, start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
        """Judge what Tornado's server has not. False: the request must not be run."""
        if not may_serve(self._connection):
            self._upload.discard()
            self._concluded = True
            self._tell_over()
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
            self._answer(refused.status, "bad-framing", close=True)
            return False
        return True

    def _is_unpacked(self, headers: HTTPHeaders) -> bool:
        """Whether Tornado's `decompress_request` has unpacked the body (the header alone may lie)."""
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
            # With `decompress_request` the field still gives the length of the packed body.
            "" if self._length == CHUNKED else headers.get("Content-Length", ""),
            *find_ends(self._connection),
            self.record.root_path,
            ", ".join(sorted(self.allow)) if self.allow else "",
            self.varies,
            list(headers.get_all()) if self._fields is None else self._fields,
        )

    def run_unfinished(self) -> None:
        self._submit(None)

    def _submit(self, small_body: bytes | None) -> None:
        """Ask for a lane. `small_body`: all of it; None: the view gets it on demand."""
        self._submitted = True
        self._on_demand = small_body is None
        length = len(small_body) if small_body is not None else UPGRADE if self._asks_for_upgrade else -1
        self._frames = pack(REQUEST, serialize_request(self._build_head(length)))
        if small_body:
            self._frames += pack(BODY, small_body)
        # A client that sends no more counts as gone if it then has to wait for a lane: it is never run.
        self._connection.half_close_grace = HALF_CLOSED_QUEUED
        if self._is_parked:
            self.unpark()
            self._pool.resubmit(self)
        else:
            self.record.submitted = time.perf_counter()
            self._pool.submit(self)

    # -- the pool's side: it calls one of these, once ----------------------------------------------------

    def hand_to(self, pool: Dispatcher) -> None:
        """It belongs to `pool`, not to the one that it was created with."""
        self._pool = pool

    def start(self, lane: Lane) -> None:
        """A lane is free: go."""
        self._settle_on(lane)
        lane.begin(self, self._frames, small=not self._on_demand)
        if self._half_closed:
            lane.say_eof(self)
        if self._on_demand:
            self._upload.attach(lane)

    @property
    def is_small(self) -> bool:
        """All of it is here, and fits into a lane's backlog."""
        return not self._on_demand and fits(self._frames)

    def put_behind(self, lane: Lane) -> bool:
        """Queue the request behind a busy lane. False: it is too large, or there is no room."""
        if self._on_demand or not lane.put(self, self._frames):
            return False
        self._settle_on(lane)
        if self._half_closed:
            lane.say_eof(self)
        return True

    def _settle_on(self, lane: Lane) -> None:
        self._lane = lane
        # It runs anyway, and a client that has only closed its sending side waits for the reply.
        self._connection.half_close_grace = math.inf
        if getattr(self._connection, "strict", False):  # Tornado's never calls it, and never releases it
            self._connection.half_close_callback = self._on_half_close
        self.record.started = time.perf_counter()

    def leave_lane(self) -> None:
        """The lane's worker has not taken it from the backlog: it waits for another lane."""
        self._lane = None
        self._connection.half_close_grace = HALF_CLOSED_QUEUED
        self.record.started = None

    def refuse(self, status: int) -> None:
        """There is no lane for this request, and won't be soon."""
        self._answer(status, "no-lane")

    # -- the worker's side: the lane calls these ---------------------------------------------------------

    def on_read(self, credit: int) -> None:
        """The view reads the body; one that is here may be read even after the end of the reply."""
        if self.expects_continue and not self._reply.begun:
            self.say_continue()
        self._upload.grant(credit)

    def on_reply(self, head: ReplyHead | None, data: bytes, end: bytes | None) -> None:
        if self._concluded:
            return
        if self._download is not None:
            self._store_reply(self._download, data, end)
            return
        if head is not None:
            self._say_last()
            self._reply.begin(head, data)
        elif data:
            self._reply.write(data)
        if end == CUT:
            self._cut("cut")
        elif end is not None:
            self._end()
        elif self._lane is not None and not self._reply.when_flushed(self._resume):
            self._hold_up(self._lane)

    def on_switch(self) -> None:
        """The view has taken the connection over: from here on neither side speaks HTTP."""
        if self._concluded or self._lane is None:
            return
        stream = self._connection.detach()
        if stream is None:  # Tornado's server has closed it
            self.on_connection_close()
            return
        self.record.status = 101
        upload = self._upload = Upload()
        upload.attach(self._lane)
        write_timeout = getattr(self._connection, "write_timeout", WRITE_TIMEOUT)
        self._reply = Tunnel(stream, self.record, upload, self.on_connection_close, write_timeout)

    def wind_up(self) -> None:
        """A view that has taken its connection over may go on for days: once quiet, it is told to end."""
        if isinstance(self._reply, Tunnel) and not self._concluded:
            self._reply.wind_up()

    def on_taken(self, seconds: float) -> None:
        """The worker has taken it from the backlog, and has been running it for `seconds`."""
        self.record.started = time.perf_counter() - seconds

    def on_answer(self, answer: Answer) -> None:
        """A whole small reply, from the lane's backlog."""
        self._lane = None
        self.record.started = time.perf_counter() - answer.seconds
        self.on_reply(answer.head, answer.body, WHOLE)

    def on_lane_lost(self, unread: bool, stopped: bool) -> None:
        """The worker died while running the request, or is waited for no longer. As half the work may be
        done, the request is not run again, unless the worker was dead before it could read it.
        """
        self._lane = None
        if self._concluded or self._has_ended:
            return
        if unread:
            self._upload.detach()
            self.leave_lane()
            self._pool.started -= 1
            self._pool.resubmit(self)
            return
        if not stopped:
            self._pool.died += 1
        self._end_early(502, "stopped" if stopped else "process-died")

    def break_off(self) -> None:
        if not self._concluded:
            self._abandon("its reply could not be passed on")
            self._cut("cut", at_once=True)

    def time_out(self) -> bool:
        """The view has sent nothing for too long. False: nobody waits for it any more."""
        if self._concluded or self._has_ended:
            return False
        self._abandon("the view ran out of time")
        self._end_early(504, "timed-out")
        return True

    def _on_half_close(self) -> None:
        """The client may have left: the view may want to know, and the reply is still written."""
        self._half_closed = True
        if self._lane is not None:
            self._lane.say_eof(self)
