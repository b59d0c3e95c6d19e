"""One client connection: its requests, one after the other, and how it ends (RFC 9112 section 9)."""

from __future__ import annotations

import asyncio
import math
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from tornado.httputil import HTTPInputError, HTTPMessageDelegate, RequestStartLine
from tornado.iostream import IOStream
from tornado.log import app_log, gen_log

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.exchange import Exchange
from waterspout.http.head import Head
from waterspout.http.parser import END, RequestParser
from waterspout.http.patience import Patience
from waterspout.http.private import GzipMessageDelegate, RequestHeaders
from waterspout.http.refusal import serialize_refusal
from waterspout.http.stream import DetachedStream, Stream, detach_stream
from waterspout.http.writer import Writer

if TYPE_CHECKING:
    from waterspout.http.server import HTTPServer

#: What a connection is at.
IDLE: Final = 0  # waits for a request's head
OPENING: Final = 1  # the head is here; the delegate is deciding what becomes of it
BODY: Final = 2  # the request's body comes
REPLY: Final = 3  # the request is whole; its reply is not
CLOSING: Final = 4  # the last reply is going out
LINGER: Final = 5  # ... has gone out; what comes is thrown away until the client closes
OVER: Final = 6  # closed, or handed to another protocol

#: What the log says of a refusal, where that is not "malformed". Tornado's own words, as far as it has them.
_SAID: Final = {
    408: "Timeout reading from %s: %s",
    414: "Unsatisfiable read from %s: %s",
    431: "Unsatisfiable read from %s: %s",
}
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Reads requests, hands them to the server's delegates, and lets one reply be written at a time.

    Attributes: `server`, `context` and `writer`, for the connection; `state`, one of the above; `exchange`,
    None between two requests.
    """

    __slots__ = (
        "_blocked",
        "_body_timer",
        "_delegate",
        "_detached",
        "_eof_timer",
        "_gone",
        "_half_closed",
        "_head_begun",
        "_headers",
        "_linger_size",
        "_lingers",
        "_parser",
        "_patience",
        "_piece",
        "_reading_paused",
        "_received",
        "_sent_at_eof",
        "_stream",
        "_thrown_away",
        "_transport",
        "context",
        "exchange",
        "server",
        "state",
        "writer",
    )

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.state = IDLE
        self.exchange: Exchange | None = None
        self._parser = RequestParser(server.settings.head)
        self._delegate: HTTPMessageDelegate | None = None
        self._headers: RequestHeaders | None = None
        self._head_begun = False
        self._piece = b""
        self._received = 0
        self._thrown_away = 0
        self._blocked = False
        self._reading_paused = False
        self._half_closed = False
        self._lingers = False
        self._linger_size = 0
        self._sent_at_eof = 0
        self._body_timer: asyncio.TimerHandle | None = None
        self._eof_timer: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None
        self._detached: DetachedStream | None = None
        self._gone: asyncio.Future[None] | None = None

    # -- asyncio calls these -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self.server
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one
        self.writer = Writer(self._transport, server.done)
        self.context = server.make_context(self._transport)
        self._patience = Patience(server.settings, server.now)
        server.on_connection(self)

    def data_received(self, data: bytes) -> None:
        if self.state >= CLOSING:
            self._throw_away(len(data))
            return
        self._parser.feed(data)
        self._advance()

    def eof_received(self) -> bool:
        """The client sends no more. It may wait for the reply to a whole request: hold the line for that."""
        if self.context.is_secure:
            return False
        if self.state != REPLY or self.exchange is None:
            return self.state == CLOSING
        self._half_closed = True
        self._wait_half_closed(self.exchange)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.writer.close()
        self._abandon()
        self.state = OVER
        if self._stream is not None:
            self._stream.on_lost(exc)
        if self._detached is not None:
            self._detached.on_handed_over()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self.server.on_close(self)

    def pause_writing(self) -> None:
        self.writer.pause()

    def resume_writing(self) -> None:
        self.writer.resume()
        if self.state == CLOSING:
            self._close_written()

    # -- from events to the delegate ---------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the bytes that are here allow, and as the delegate does."""
        try:
            while not self._blocked and _STEPS[self.state](self):
                pass
        except RequestRefused as refused:
            self.refuse(refused)
        if self._parser.held > limits.PIPELINE_SIZE and (self._blocked or self.state == REPLY):
            self._pause_reading()

    # Each step says whether the next one may follow at once.

    def _read_head(self) -> bool:
        head = self._parser.next_event()
        if head is None and self._half_closed:
            self.close()
        if head is None:
            if self._parser.held and not self._head_begun:
                self._head_begun = True
                self._patience.wait(self.server.now, self.server.settings.head_timeout)
            return False
        self._head_begun = False
        self._open(head)  # type: ignore[arg-type]  # the first event of a request
        return self.state == OPENING

    def _open(self, head: Head) -> None:
        server = self.server
        exchange = self.exchange = Exchange(self, head, server.max_body_size)
        if server.draining or server.conn_params.no_keep_alive:
            exchange.keep_alive = False
        self.state = OPENING
        delegate = server.start_request(self, exchange)
        if server.conn_params.decompress:
            delegate = GzipMessageDelegate(delegate, server.chunk_size, exchange.max_body_size)
        self._delegate = delegate
        if self._half_closed:
            self._wait_half_closed(exchange)
        headers = RequestHeaders(head.fields, head.names)
        start_line = RequestStartLine(head.method, head.target, head.version)
        if head.body_length == 0:
            # The way of most requests, without going round by the table.
            if self._call(delegate.headers_received, start_line, headers):
                self._begin_body()
            return
        self._headers = headers
        self._received = 0
        self._call(delegate.headers_received, start_line, headers)

    def _begin_body(self) -> bool:
        """The delegate has seen the head."""
        if self._blocked or self.state != OPENING:
            return False
        exchange: Exchange = self.exchange  # type: ignore[assignment]  # there is one in this state
        head = exchange.head
        if head.body_length == 0:
            return self._end_request()
        if head.body_length > exchange.max_body_size and not exchange.finished:
            raise RequestRefused(413, "Content-Length too long")
        self.state = BODY
        self._patience.expect_body(self.server.now, self._received)
        if self.server.conn_params.body_timeout is not None and self._body_timer is None:
            self.set_body_timeout(self.server.conn_params.body_timeout)
        # A delegate that wants to say 100 Continue itself, later or never, has deleted the field.
        if head.expects_continue and not exchange.response_started and "Expect" in cast(Any, self._headers):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _read_body(self) -> bool:
        if self._piece:
            size = self.server.chunk_size
            piece, self._piece = self._piece[:size], self._piece[size:]
            return self._call(cast(HTTPMessageDelegate, self._delegate).data_received, piece)
        event = self._parser.next_event()
        if event is None:
            if self._half_closed:
                self._abandon()
                self.close()
            return False
        if event is END:
            return self._end_request()
        self._piece = cast(bytes, event)
        self._received += len(self._piece)
        if self._received > cast(Exchange, self.exchange).max_body_size:
            raise RequestRefused(413, "chunked body too large")
        return True

    def _end_request(self) -> bool:
        self.state = REPLY
        self._headers = None
        if self._body_timer is not None:
            self._cancel_body_timer()
        self._call(self._delegate.finish)  # type: ignore[union-attr]  # there is one in this state
        return False  # one request for each turn of the loop: others want to be served, too

    def _wait(self) -> bool:
        """What has come belongs to the next request, and that waits for this one's reply."""
        return False

    # -- the delegate's answers --------------------------------------------------------------------------

    def _call(self, method: Callable[..., Any], *arguments: Any) -> bool:
        """Call the delegate; go no further until what it gives is done. False: it failed."""
        try:
            awaitable: Awaitable[None] | None = method(*arguments)
        except Exception as error:
            self._on_failure(error)
            return False
        if awaitable is not None:
            future = asyncio.ensure_future(awaitable)
            if not future.done() or future.cancelled() or future.exception() is not None:
                self._blocked = True
                future.add_done_callback(self._on_awaited)
        return True

    def _on_awaited(self, future: asyncio.Future[None]) -> None:
        self._blocked = False
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if self.state >= CLOSING:
            return
        if error is not None:
            self._on_failure(error)
            return
        # The clock of the client's body stands still while it is not read.
        self._patience.expect_body(self.server.now, self._received)
        self._resume_reading()
        self._advance()

    def _on_failure(self, error: BaseException) -> None:
        if isinstance(error, HTTPInputError):
            self.refuse(RequestRefused(400, str(error)))
        elif isinstance(error, RequestRefused):
            self.refuse(error)
        else:
            app_log.error("Uncaught exception", exc_info=error)
            self.refuse(RequestRefused(500, "an application that failed"))

    def on_reply_finished(self) -> None:
        """The exchange calls this: its reply is written. The next request may come, or none."""
        exchange, self.exchange, self._delegate = self.exchange, None, None
        if self.state == REPLY and exchange is not None and exchange.keep_alive:
            self.state = IDLE
            self._patience.wait(self.server.now, self.server.settings.keep_alive_timeout)
            self._parser.next_request()
            if self._parser.held or self._half_closed:
                self._resume_reading()
                self.server.loop.call_soon(self._advance)
        elif self.state < CLOSING:
            self.close(linger=self.state != REPLY)

    # -- endings -----------------------------------------------------------------------------------------

    def refuse(self, refused: RequestRefused) -> None:
        """Answer with the refusal, unless a reply has begun: then cut it. Nothing more is served here."""
        if self.state >= CLOSING:
            return
        if refused.status < 500:
            gen_log.info(
                _SAID.get(refused.status, "Malformed HTTP message from %s: %s"), self.context, refused
            )
        exchange = self.exchange
        if exchange is not None and exchange.response_started and not exchange.finished:
            self._abandon()
            self.cut(exchange)
            return
        if exchange is None or not exchange.response_started:
            self.writer.write(serialize_refusal(refused, "" if exchange is None else exchange.head.method))
        in_body = self.state in (OPENING, BODY)
        self._abandon()
        self.close(linger=True, in_body=in_body)

    def close(self, *, linger: bool = False, in_body: bool = False) -> None:
        """Close when all that was written has gone out.

        `linger`: the client may still be sending. What it sends is thrown away for a moment: unread bytes
        make the kernel send a reset, and that can eat the reply (RFC 9112 section 9.6).
        """
        if self.state >= CLOSING:
            return
        self._lingers = linger or self._parser.held > 0
        # Who is in the middle of a body sends on until the answer is read.
        in_body = in_body or self.state in (OPENING, BODY)
        self._linger_size = limits.LINGER_SIZE if in_body else limits.REFUSED_LINGER_SIZE
        self.state = CLOSING
        self._parser.take_rest()
        self._resume_reading()
        self._close_written()

    def _close_written(self) -> None:
        """Close, as soon as the writer holds nothing back; the transport sends out what it has."""
        if self.writer.holds or self._transport.is_closing():
            return
        if not self._lingers:
            self._transport.close()
            return
        self.state = LINGER
        self._thrown_away = 0
        self._patience.wait(self.server.now, limits.LINGER)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def cut(self, exchange: Exchange | None = None) -> None:
        """Close in the middle of the reply of `exchange`, so that the client can tell."""
        exchange = exchange or self.exchange
        self.exchange = self._delegate = None
        if exchange is not None and not exchange.is_delimited:
            # A FIN would be a clean end here; a reset is not.
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if self.state < CLOSING:
            self.state = CLOSING
            self._lingers = False
            self._resume_reading()
            self._close_written()

    def drain(self) -> None:
        """The server stops: close if idle; a reply that runs is the last one."""
        if self.exchange is not None:
            self.exchange.keep_alive = False
        elif self.state == IDLE and not self._parser.held:
            self.close()

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        self._transport.abort()

    @property
    def stream(self) -> Stream:
        """What of an `IOStream` handlers use."""
        if self._stream is None:
            self._stream = Stream(self, self._transport)
        return self._stream

    def detach(self) -> IOStream:
        """Leave HTTP. The socket as an `IOStream`, with what the client has sent behind its request."""
        rest = self._let_go()
        stream, self._detached = detach_stream(self._transport, rest)
        return stream

    def switch_protocols(self, protocol: asyncio.Protocol) -> None:
        """Leave HTTP. `protocol` takes the transport over, and what the client has sent already."""
        rest = self._let_go()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        if self._transport.is_closing():
            protocol.connection_lost(None)
        elif rest:
            protocol.data_received(rest)

    def _let_go(self) -> bytes:
        self.state = OVER
        self.server.on_close(self)
        self.exchange = self._delegate = None
        self._cancel_body_timer()
        self._resume_reading()
        return self._parser.take_rest()

    async def wait_closed(self) -> None:
        """Until the socket is closed."""
        if self.state != OVER:
            self._gone = self._gone or self.server.loop.create_future()
            await asyncio.shield(self._gone)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self._thrown_away > self._linger_size and self.state == LINGER:
            self._transport.close()

    def _abandon(self) -> None:
        """The client is gone, or will hear nothing more: tell who works for it."""
        exchange, self.exchange = self.exchange, None
        delegate, self._delegate = self._delegate, None
        self._cancel_body_timer()
        if self._eof_timer is not None:
            self._eof_timer.cancel()
        if exchange is None or delegate is None:
            return
        is_whole = self.state >= REPLY
        callback = exchange.close_callback if is_whole else delegate.on_connection_close
        exchange.close_callback = None
        self.state = max(self.state, REPLY)
        if callback is not None:
            try:
                callback()
            except Exception:
                app_log.error("Uncaught exception", exc_info=True)

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # -- time --------------------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """The server calls this every now and then: whoever is too slow is cut."""
        patience = self._patience
        if patience.is_stalled(now, self.writer):
            gen_log.info("%s takes nothing of its reply: cut", self.context)
            self.abort()
        elif self.state == IDLE and patience.is_over(now):
            if self._parser.held:
                self.refuse(RequestRefused(408, "a head that does not end"))
            else:
                self.close()
        elif self.state == BODY and not self._blocked and patience.is_body_late(now, self._received):
            self.refuse(RequestRefused(408, "a body that does not end"))
        elif self.state == LINGER and patience.is_over(now):
            self._transport.close()

    def _wait_half_closed(self, exchange: Exchange) -> None:
        """A client that left looks like one that only stopped sending, until something is written to it."""
        self._sent_at_eof = self.writer.sent
        grace = min(exchange.half_close_grace, limits.HALF_CLOSED)
        self._eof_timer = self.server.loop.call_later(grace, self._judge_half_closed, exchange)

    def _judge_half_closed(self, exchange: Exchange) -> None:
        if self.exchange is not exchange or self.state != REPLY:
            return
        took_something = self.writer.sent != self._sent_at_eof or self.writer.unsent
        if took_something or (exchange.half_close_grace == math.inf and not exchange.response_started):
            self._wait_half_closed(exchange)
            return
        self._abandon()
        self.close()

    def set_body_timeout(self, timeout: float) -> None:
        """The request's body must be whole in `timeout` seconds from now."""
        self._cancel_body_timer()
        self._body_timer = self.server.loop.call_later(timeout, self._on_body_timeout)

    def _on_body_timeout(self) -> None:
        self._body_timer = None
        gen_log.info("Timeout reading body from %s", self.context)
        self._abandon()
        self.abort()  # as Tornado does, whose option this is

    def _cancel_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None


_STEPS: Final[tuple[Callable[[Connection], bool], ...]] = (
    Connection._read_head,
    Connection._begin_body,
    Connection._read_body,
    Connection._wait,
    Connection._wait,
    Connection._wait,
    Connection._wait,
)
