"""The reading side of a connection: the parser's events become calls to a request's delegate."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

from tornado.httputil import HTTPInputError, HTTPMessageDelegate, RequestStartLine
from tornado.log import app_log

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.connection import BODY, CLOSING, IDLE, LINGER, OPENING, REPLY, Connection, tell
from waterspout.http.exchange import Exchange
from waterspout.http.head import Head
from waterspout.http.parser import END
from waterspout.http.private import GzipMessageDelegate, RequestHeaders
from waterspout.logs.loggers import escape
from waterspout.system.fatal import find_failure

if TYPE_CHECKING:
    from waterspout.http.server import HTTPServer


class Intake(Connection):
    """A `Connection` that reads requests, hands them to the server's delegates, and lets one reply be written
    at a time.
    """

    __slots__ = ("_blocked_since", "_head_begun", "_headers", "_piece", "_tiny_chunks")

    def __init__(self, server: HTTPServer) -> None:
        super().__init__(server)
        self._headers: RequestHeaders | None = None
        self._head_begun = False
        self._blocked_since = 0.0
        self._piece = b""
        self._tiny_chunks = False

    # -- asyncio calls these -----------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self.state >= CLOSING:
            self._throw_away(len(data))
            return
        # A keep-alive client mostly sends one request at a time, with the fields of the last one.
        is_free = self.state == IDLE and not self.writer.is_full and not self._blocked
        head = self._parser.take_repeated(data) if is_free else None
        if head is not None:
            self._open(head)
        else:
            self._parser.feed(data)
            self._advance()

    def eof_received(self) -> bool:
        """The client sends no more. It may be waiting for replies to complete requests: keep the connection
        open for those. How long is decided when the delegate, too, has all of its request (`_end_request`),
        or when it takes no more of the body.
        """
        if self.state >= LINGER:
            return False
        self._half_closed = True
        is_held_up = self.state == BODY and self._blocked
        if self.exchange is not None and (self.state == REPLY or is_held_up):
            self._wait_half_closed(self.exchange)
        self._advance()  # what is incomplete now stays incomplete
        return not self._transport.is_closing()

    def resume_writing(self) -> None:
        self.writer.resume()
        # In a separate turn of the loop: asyncio's transport must not be closed during this call.
        if self.writer.holds or self.state in (CLOSING, IDLE):
            self.server.loop.call_soon(self._on_room)

    def _on_room(self) -> None:
        self.writer.go_on()
        if self.state == CLOSING:
            self._close_written()
        elif self.state == IDLE and (self._parser.held or self._half_closed):
            self._advance()

    # -- from events to the delegate ---------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the received bytes and the delegate allow; read on if that is not enough."""
        try:
            while not self._blocked and _STEPS[self.state](self):
                pass
        except RequestRefused as refused:
            self.refuse(refused)
        if self._parser.held > limits.PIPELINE_SIZE and (
            self._blocked or self.state == REPLY or (self.state == IDLE and self.writer.is_full)
        ):
            self._pause_reading()
        elif self._reading_paused and self.state < CLOSING:
            self._resume_reading()

    def _take_turns(self) -> None:
        """Continue in a later turn of the loop: others must be served, too."""
        self._blocked += 1
        self.server.turns.wait(self._take_turn)

    def _take_turn(self) -> None:
        self._blocked -= 1
        self.server.turns.count(1)
        if self.state < CLOSING:
            self._advance()

    # Each step returns whether the next one may follow at once.

    def _read_head(self) -> bool:
        if self.writer.is_full:
            return False  # a client that does not read its replies need not ask for more
        head = self._parser.next_event()
        if head is None and self._half_closed:
            self.close()
        if head is None:
            if self._parser.held and not self._head_begun:
                self._head_begun = True
                self._patience.wait(self.server.soon, self.server.settings.head_timeout)
            return False
        self._open(head)  # type: ignore[arg-type]  # the first event of a request
        return self.state == OPENING

    def _open(self, head: Head) -> None:
        self._head_begun = False
        server = self.server
        exchange = Exchange(self, head, server.max_body_size)
        self.exchange = exchange
        if server.conn_params.no_keep_alive:
            exchange.keep_alive = False
        self.state = OPENING
        self.is_whole = False
        exchange.variables = variables = server.variables.copy()
        try:
            delegate = variables.run(server.open, self, exchange)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # one request must not end the server
            self._on_failure(error)
            return
        if delegate is None:
            if self.state == OPENING:  # nothing has taken the request: it would never be answered
                self._on_failure(TypeError("start_request returned no delegate"))
            elif self._half_closed and self.exchange is exchange:
                self._wait_half_closed(exchange)
            return
        if server.conn_params.decompress:
            delegate = GzipMessageDelegate(delegate, server.chunk_size, exchange.max_body_size)
        head = exchange.head  # an application may have amended it
        self._delegate = delegate
        headers = RequestHeaders(head.fields, head.names)
        start_line = RequestStartLine(head.method, head.target, head.version)
        if head.body_length == 0:
            # Most requests take this path, without a detour through the table.
            if self._call(delegate.headers_received, start_line, headers):
                self._begin_body()
            return
        self._headers = headers
        self._received = 0
        self._body_timeout = server.conn_params.body_timeout
        self._call(delegate.headers_received, start_line, headers)

    def on_reply_finished(self) -> None:
        """Called by the exchange when its reply is written: the next request may follow, or none."""
        exchange, self.exchange = self.exchange, None
        delegate, self._delegate = self._delegate, None
        variables = self.server.variables
        if exchange is not None:
            # What the application left there may refer back to the exchange.
            variables, exchange.variables = exchange.variables, variables
        if self.state == REPLY and exchange is not None and exchange.keep_alive:
            self.state = IDLE
            self._patience.wait(self.server.soon, self.server.settings.keep_alive_timeout)
            if self.server.draining:
                # Its head was sent before the stop began, and did not say that it is the last one.
                self._close_idle_soon()
            if self._parser.held or self._half_closed:
                self._take_turns()
        elif self.state < CLOSING:
            if not self.is_whole and delegate is not None and exchange is not None:
                # As Tornado does: otherwise a handler that waits for the body would wait forever.
                self.server.loop.call_soon(tell, variables, delegate.on_connection_close)
            # Anything the client sends after its last request, such as a CRLF, would cost it the part of the
            # reply it has not yet read.
            self.close(linger=True)

    def become_whole(self) -> bytes | None:
        """Return the request's body if it is complete: then no delegate gets it. None: it must be read."""
        body = self._parser.take_body()
        if body is not None:
            self.state = REPLY
            self.is_whole = True
        return body

    def _begin_body(self) -> bool:
        """The delegate has seen the head."""
        if self._blocked or self.state != OPENING:
            return False
        exchange: Exchange = self.exchange  # type: ignore[assignment]  # there is one in this state
        head = exchange.head
        if head.body_length == 0:
            return self._end_request()
        if head.body_length > exchange.max_body_size:
            raise RequestRefused(413, "Content-Length too long")
        self.state = BODY
        self._patience.expect_body(self.server.soon, self._received)
        self._start_body_timer()
        # A delegate that wants to send 100 Continue itself, later or never, has deleted the field.
        if head.expects_continue and not exchange.response_started and "Expect" in cast(Any, self._headers):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _read_body(self) -> bool:
        if self._piece:
            size = self.server.chunk_size
            piece, self._piece = self._piece[:size], self._piece[size:]
            return self._call(cast(HTTPMessageDelegate, self._delegate).data_received, piece)
        if self._tiny_chunks:
            self._tiny_chunks = False
            self._take_turns()
            return False
        event = self._parser.next_event()
        self._tiny_chunks = self._parser.has_tiny_chunks
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
        self.is_whole = True
        self._headers = None
        self._stop_body_timer()
        exchange: Exchange = self.exchange  # type: ignore[assignment]  # there is one in this state
        delegate: HTTPMessageDelegate = self._delegate  # type: ignore[assignment]  # there is one, too
        if not self._call(delegate.finish):
            tell(exchange.variables, delegate.on_connection_close)  # as when another of its methods fails
        if self._half_closed and self.exchange is exchange:
            self._wait_half_closed(exchange)
        return False  # one request per turn of the loop: others must be served, too

    def _wait(self) -> bool:
        """What has arrived belongs to the next request, which waits for this one's reply."""
        return False

    # -- the delegate's answers --------------------------------------------------------------------------

    def _call(self, method: Callable[..., Any], *arguments: Any) -> bool:
        """Call the delegate; go no further until the awaitable it returns is done. False: it failed."""
        variables = self.server.variables.copy() if self.exchange is None else self.exchange.variables
        try:
            awaitable: Awaitable[None] | None = variables.run(method, *arguments)
            # A result that can't be awaited is a failure, too.
            future = None if awaitable is None else variables.run(asyncio.ensure_future, awaitable)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._on_failure(error)
            return False
        if future is None or (future.done() and not future.cancelled() and future.exception() is None):
            return True
        self._blocked += 1
        self._blocked_since = self.server.now
        future.add_done_callback(self._on_awaited)
        return True

    def _on_awaited(self, future: asyncio.Future[None]) -> None:
        self._blocked -= 1
        error = find_failure(future)
        if self.state >= CLOSING:
            return
        if error is not None:
            self._on_failure(error)
            return
        # The time in which the client's body was not read does not count.
        self._patience.extend(self.server.now - self._blocked_since)
        self._advance()

    def _on_failure(self, error: BaseException) -> None:
        if isinstance(error, HTTPInputError):
            self.refuse(RequestRefused(400, str(error)))
        elif isinstance(error, RequestRefused):
            self.refuse(error)
        elif self.exchange is None:
            app_log.error("Uncaught exception", exc_info=error)
            self.close()  # the reply is complete: nothing may follow it
        else:
            head = self.exchange.head
            path = escape(head.target.partition("?")[0])  # a query may contain what no log should
            app_log.error(
                "Uncaught exception %s %.200s (%s)", head.method, path, self.context.remote_ip, exc_info=error
            )
            self.refuse(RequestRefused(500, "the application failed"))


#: By the connection's state.
_STEPS: Final[tuple[Callable[[Intake], bool], ...]] = (
    *(Intake._read_head, Intake._begin_body, Intake._read_body),
    *(Intake._wait,) * 4,
)
