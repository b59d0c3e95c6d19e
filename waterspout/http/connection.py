"""One client's connection: how long it may take, and how it ends (RFC 9112 section 9)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextvars import Context
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from tornado.httputil import HTTPMessageDelegate
from tornado.iostream import IOStream
from tornado.log import app_log, gen_log

from waterspout import limits
from waterspout.exceptions import RequestRefused
from waterspout.http.exchange import Exchange
from waterspout.http.gone import GONE
from waterspout.http.parser import RequestParser
from waterspout.http.patience import Patience
from waterspout.http.refusal import serialize_refusal
from waterspout.http.stream import DetachedStream, Stream, detach_stream
from waterspout.http.writer import Writer
from waterspout.system.hangup import has_hung_up, is_readable
from waterspout.system.transport import close_transport, find_descriptor, send_end, shut_down_writing

if TYPE_CHECKING:
    from waterspout.http.server import HTTPServer

#: The states of a connection.
IDLE: Final = 0  # waiting for a request's head
OPENING: Final = 1  # the head has arrived; the delegate is deciding what to do with it
BODY: Final = 2  # the request's body is arriving
REPLY: Final = 3  # the request is complete; its reply is not
CLOSING: Final = 4  # the last reply is going out
LINGER: Final = 5  # ... has gone out; input is discarded until the client closes
OVER: Final = 6  # closed, or handed to another protocol

#: Log messages for refusals that are not "malformed", in Tornado's own words where it has any.
_SAID: Final = {
    408: "Timeout reading from %s: %s",
    414: "Unsatisfiable read from %s: %s",
    431: "Unsatisfiable read from %s: %s",
}


class Connection(asyncio.Protocol):
    """One socket: its client, how long the client may take, and how the connection ends. `Intake`, the
    subclass that reads requests, is what a server creates.

    Attributes: `server`, `context` and `writer`, for the connection; `state`, one of the above; `exchange`,
    None between two requests; `is_whole`, all of its request has arrived.
    """

    __slots__ = (
        "_blocked",
        "_body_timeout",
        "_body_timer",
        "_delegate",
        "_detached",
        "_eof_timer",
        "_gone",
        "_half_closed",
        "_has_left",
        "_in_body",
        "_linger_longest",
        "_linger_until",
        "_lingers",
        "_parser",
        "_patience",
        "_reading_paused",
        "_received",
        "_sent_at_eof",
        "_stream",
        "_thrown_away",
        "_transport",
        "context",
        "exchange",
        "is_whole",
        "server",
        "state",
        "writer",
    )

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.state = IDLE
        self.exchange: Exchange | None = None
        self.is_whole = False
        self._parser = RequestParser(server.settings.head)
        self._delegate: HTTPMessageDelegate | None = None
        self._blocked = 0  # by so many awaitables of the delegate, and turns of the loop
        self._received = 0
        self._reading_paused = False
        self._thrown_away = 0
        self._half_closed = False
        self._lingers = False
        self._in_body = False
        self._linger_longest = self._linger_until = 0.0
        self._sent_at_eof = 0
        self._body_timeout: float | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._eof_timer: asyncio.TimerHandle | None = None
        self._stream: Stream | None = None
        self._detached: DetachedStream | None = None
        self._gone: asyncio.Future[None] | None = None
        self._has_left = False

    # -- asyncio calls these -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self.server
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is not registered as one
        self.writer = Writer(self._transport, server.done)
        self.context = server.make_context(self._transport)
        server.on_connection(self)
        self._patience = Patience(server.settings, server.soon)
        if self.context.is_nobody:
            self.state = CLOSING
            self.writer.end()
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.writer.close()
        is_watched = self.exchange is not None or self._stream is not None
        self._abandon()
        was_over, self.state = self.state == OVER, OVER
        callback = None if self._stream is None else self._stream.on_lost(exc)
        if callback is not None:
            self.server.loop.call_soon(tell, self.server.variables, callback)
        if self._detached is not None:
            self._detached.on_handed_over()
        if self.context.is_secure:
            self._forget_transport()
        if is_watched and not was_over:
            # Behind what its handler is told: a server that stops waits for that.
            self.server.loop.call_soon(self._leave)
        elif not was_over:
            self._leave()

    def _leave(self) -> None:
        """The server has nothing more to wait for."""
        self._has_left = True
        self.server.on_close(self)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _forget_transport(self) -> None:
        """Let the transport be freed, even if a reference cycle or a caller of `wait_closed` holds us."""
        self._transport = GONE
        self.writer.forget_transport()
        if self._stream is not None:
            self._stream.forget_transport()

    def pause_writing(self) -> None:
        self.writer.pause()

    # -- backpressure ------------------------------------------------------------------------------------

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self._transport.is_closing():
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._transport.is_closing():
            self._reading_paused = False
            self._transport.resume_reading()

    # -- endings -----------------------------------------------------------------------------------------

    def refuse(self, refused: RequestRefused) -> None:
        """Answer with the refusal, or cut a reply that has begun. The connection serves nothing more."""
        if self.state >= CLOSING:
            return
        if refused.status < 500:
            gen_log.info(
                _SAID.get(refused.status, "Malformed HTTP message from %s: %s"), self.context, refused
            )
        exchange = self.exchange
        if exchange is not None:
            exchange.refused = refused.status
        elif self.server.on_refused is not None:
            self.server.on_refused(self.context.remote_ip, refused)
        if exchange is not None and exchange.response_started and not exchange.finished:
            self._abandon()
            self.cut(exchange)
            return
        if exchange is None or not exchange.response_started:
            if exchange is None:
                answer = serialize_refusal(refused, self._parser.method_begun)
            else:
                answer = serialize_refusal(refused, exchange.head.method, exchange.request_id)
            self.writer.write(answer)
        in_body = self.state in (OPENING, BODY)
        self._abandon()
        # An upload may come behind a head that was refused, but hardly behind one that came too slowly.
        longest = limits.LINGER if refused.status == HTTPStatus.REQUEST_TIMEOUT else limits.LINGER_LONGEST
        self.close(linger=True, in_body=in_body, longest=longest)

    def close(self, *, linger: bool = False, in_body: bool = False, longest: float | None = None) -> None:
        """Close once everything written has gone out.

        `linger`: the client may still be sending. What it sends is discarded: unread bytes make the kernel
        send a reset, which can destroy the reply (RFC 9112 section 9.6). `longest`: for so long at most
        (seconds; None: LINGER). A client in the middle of a body keeps sending until it reads the answer.
        """
        if self.state >= CLOSING:
            return
        self._lingers = linger or self._parser.held > 0
        self._in_body = in_body or self.state in (OPENING, BODY)
        self._linger_longest = limits.LINGER_LONGEST if self._in_body else longest or limits.LINGER
        self.state = CLOSING
        self.writer.end()
        self._parser.take_rest()
        self._resume_reading()
        self._close_written()

    def _close_written(self) -> None:
        """Close as soon as the writer holds nothing back; the transport still sends what it has."""
        if self.state != CLOSING or self.writer.holds or self._transport.is_closing():
            return
        if not self._lingers or self._half_closed:  # nothing comes after the client's EOF
            self._transport.close()
            return
        self.state = LINGER
        self._thrown_away = 0
        self._resume_reading()
        now = self.server.now
        self._linger_until = now + (limits.LINGER if self.server.draining else self._linger_longest)
        self._patience.wait(now, limits.LINGER)
        shut_down_writing(self._transport)
        if self.server.draining:
            self._end_unheard_soon()

    def _end_unheard_soon(self) -> None:
        """A stop does not wait for a client that has had its last reply and sends nothing more."""
        if not self._in_body:
            self.server.loop.call_later(limits.DRAIN_IDLE, self._end_unheard)

    def _end_unheard(self) -> None:
        if self.state == LINGER and not self._thrown_away:
            self._transport.close()

    def cut(self, exchange: Exchange | None = None) -> None:
        """Close in the middle of the reply of `exchange`, in a way that the client can recognize."""
        exchange = exchange or self.exchange
        self.exchange = self._delegate = None
        if exchange is not None and not exchange.is_delimited:
            # Without length or chunks a FIN looks like the reply's end: so a reset, and no TLS close_notify.
            if self.context.is_secure:
                self._transport.abort()
            self.writer.reset_on_close()
        if self.state < CLOSING:
            self.state = CLOSING
            self.writer.end()
            self._lingers = False
            self._resume_reading()
            self._close_written()

    def idle_for(self, now: float) -> float:
        """How long the connection has been without a request (seconds); 0: it has one."""
        if self.state != IDLE or self._parser.held or self.writer.unsent:
            return 0.0
        settings = self.server.settings
        whole = settings.keep_alive_timeout if self.writer.has_written else settings.head_timeout
        return max(0.0, whole - self._patience.remains(now))

    def drain(self) -> None:
        """The server is stopping: a reply whose head is still to come says that it is the last one; an idle
        client gets a moment, as does one after each part of a head.

        Its next request may be on the way, and it can't know that nobody would read it.
        """
        if self.exchange is None:
            self._close_idle_soon()
        self._linger_until = min(self._linger_until, self.server.now + limits.LINGER)
        if self.state == LINGER:
            self._end_unheard_soon()

    def _close_idle_soon(self) -> None:
        self.server.loop.call_later(limits.DRAIN_IDLE, self._close_unheard, self._parser.held)

    def _close_unheard(self, held: int) -> None:
        """Close, unless a head is arriving: more than these `held` bytes have come, or they are not read yet,
        as the client has not read its last reply.
        """
        if self.state != IDLE:
            return
        is_arriving = self._parser.held and (
            self._parser.held != held or self.writer.is_full or self._blocked
        )
        if is_arriving or not self._close_unasked():
            self._close_idle_soon()

    def make_room(self) -> None:
        """Make room for other clients: close in a moment, unless a request comes before that."""
        self.server.loop.call_later(limits.DRAIN_IDLE, self._close_idle, self.writer.sent)

    def _close_idle(self, sent: int) -> None:
        if self.state == IDLE and not self._parser.held and sent == self.writer.sent:
            self._close_unasked()

    def _close_unasked(self) -> bool:
        """Close, unless the kernel has a request that has not been read: it would be lost to a reset. Returns
        whether the connection is closed.

        The client's pool must learn of it before it sends the next one. The event loop closes the socket only
        after everything else that it has to do in this turn, which with a busy one is many milliseconds.
        """
        if not self._reading_paused and is_readable(self._transport.get_extra_info("socket")):
            return False
        if not self.context.is_secure and not self.writer.unsent:
            send_end(self._transport)
        self.close()
        return True

    def abort(self) -> None:
        """Close now; what has not gone out is lost."""
        self._transport.abort()

    def reset(self) -> None:
        """Close now; what the kernel holds for the client is lost, too."""
        self.writer.reset_on_close()
        self._transport.abort()

    def shut_down(self) -> None:
        """Close without the event loop, which is itself being closed."""
        close_transport(self._transport)

    @property
    def is_over(self) -> bool:
        """The socket is closed or handed over."""
        return self.state == OVER

    def fileno(self) -> int:
        """Its descriptor; -1: it is closed."""
        return find_descriptor(self._transport)

    @property
    def stream(self) -> Stream:
        """The part of an `IOStream` that handlers use."""
        if self._stream is None:
            self._stream = Stream(self, self._transport)
            if self.state == OVER:
                self._stream.on_over()
        return self._stream

    def detach(self) -> IOStream:
        """Leave HTTP. Returns the socket as an `IOStream`, with what the client sent after its request."""
        rest = self._let_go()
        timeout = self.server.settings.write_timeout
        stream, self._detached = detach_stream(
            self._transport, rest, timeout, full=self.writer.paused, has_ended=self._half_closed
        )
        if self.context.is_secure:
            self._forget_transport()
        return stream

    def switch_protocols(self, protocol: asyncio.Protocol) -> None:
        """Leave HTTP. `protocol` takes over the transport, the data already received, and any EOF."""
        rest, transport = self._let_go(), self._transport
        transport.set_protocol(protocol)
        if self.context.is_secure:
            self._forget_transport()
        protocol.connection_made(transport)
        if transport.is_closing():
            protocol.connection_lost(None)
            return
        if self.writer.paused:  # the transport has told us, and does not tell anybody twice
            protocol.pause_writing()
        if rest:
            protocol.data_received(rest)
        # The event loop has reported the EOF to us, and does not report it again.
        if self._half_closed and not transport.is_closing() and not protocol.eof_received():
            transport.close()

    def _let_go(self) -> bytes:
        self.writer.hand_over()
        self.state = OVER
        self._leave()
        if self.exchange is not None:
            self.exchange.variables = self.server.variables
        self.exchange = self._delegate = None
        if self._stream is not None:
            self._stream.on_over()
        self._stop_body_timer()
        self._resume_reading()
        return self._parser.take_rest()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed, and its handler knows, or is handed over."""
        if not self._has_left:
            self._gone = self._gone or self.server.loop.create_future()
            await asyncio.shield(self._gone)

    def _throw_away(self, size: int) -> None:
        self._thrown_away += size
        if self.state != LINGER:
            if self._thrown_away > limits.LINGER_SIZE:  # its time begins when it has taken the reply
                self._pause_reading()
            return
        if self._thrown_away > limits.LINGER_SIZE:
            self._transport.close()
        else:
            soon = self.server.soon
            self._patience.wait(soon, min(limits.LINGER, self._linger_until - soon))

    def _abandon(self) -> None:
        """The client is gone, or will be sent nothing more: notify its handler or delegate."""
        exchange, self.exchange = self.exchange, None
        delegate, self._delegate = self._delegate, None
        self._stop_body_timer()
        if self._eof_timer is not None:
            self._eof_timer.cancel()
        if exchange is None:
            return
        exchange.was_abandoned = not exchange.is_sent
        if self.is_whole:
            callback = exchange.tell_left
        elif delegate is not None:
            callback, exchange.close_callback = delegate.on_connection_close, None
        else:
            return
        exchange.half_close_callback = None  # no reference cycle
        self.state = max(self.state, REPLY)
        # In a turn of its own: a task that was created in this one would begin behind it.
        self.server.loop.call_soon(tell, exchange.variables, callback)

    # -- time --------------------------------------------------------------------------------------------

    def excuse(self, seconds: float) -> None:
        """Don't count `seconds` in which the server itself stood still."""
        self._patience.excuse(seconds)

    def check(self, now: float) -> None:
        """Called by the server from time to time: ends the connection of a client that is too slow."""
        patience, writer = self._patience, self.writer
        if patience.is_stalled(now, writer):
            gen_log.info("%s reads little or nothing of its reply: cut off", self.context)
            if self.exchange is not None:
                self.exchange.refused = 408  # for its access line: the client has not left
            self.abort()
        elif self.state == IDLE and writer.unsent:
            # The client is busy with our reply: its own time begins after that.
            patience.wait(now, self.server.settings.keep_alive_timeout)
        elif self.state == IDLE and patience.is_over(now):
            if self._parser.held:
                self.refuse(RequestRefused(408, "a head that arrives too slowly"))
            else:
                self._close_unasked()
        elif self.state == BODY and not self._blocked and patience.is_body_late(now, self._received):
            self.refuse(RequestRefused(408, "a body that arrives too slowly"))
        elif self.state == LINGER and patience.is_over(now):
            self._transport.close()
        elif self._reading_paused and self._eof_timer is None:
            self._look_for_hangup()

    def _look_for_hangup(self) -> None:
        """Behind what is not being read, the event loop doesn't see the client's EOF."""
        if (
            self.exchange is not None
            and self.state in (BODY, REPLY)
            and has_hung_up(self._transport.get_extra_info("socket"))
        ):
            self._wait_half_closed(self.exchange)

    def _wait_half_closed(self, exchange: Exchange) -> None:
        """A client that left looks like one that only stopped sending, until something is written to it."""
        self._sent_at_eof = self.writer.sent
        callback, exchange.half_close_callback = exchange.half_close_callback, None
        if callback is not None:
            tell(exchange.variables, callback)
        grace = (
            limits.HALF_CLOSED if self.writer.unsent else min(exchange.half_close_grace, limits.HALF_CLOSED)
        )
        if self._eof_timer is not None:
            self._eof_timer.cancel()
        self._eof_timer = self.server.loop.call_later(grace, self._judge_half_closed, exchange)

    def _judge_half_closed(self, exchange: Exchange) -> None:
        self._eof_timer = None
        if self.exchange is not exchange or self.state not in (BODY, REPLY):
            return
        took_something = self.writer.sent != self._sent_at_eof or self.writer.unsent
        is_run = exchange.half_close_grace == math.inf and not exchange.response_started
        # Nothing of a body that has arrived and is being worked on must be lost.
        is_read = self.state == BODY and exchange.half_close_grace >= limits.HALF_CLOSED
        if took_something or is_run or is_read:
            self._wait_half_closed(exchange)
            return
        self._abandon()
        self.close()

    def set_body_timeout(self, timeout: float | None) -> None:
        """The request's body may take `timeout` seconds, from its start or from now; None: no limit."""
        self._body_timeout = timeout
        self._stop_body_timer()
        if self.state == BODY:
            self._start_body_timer()

    def _start_body_timer(self) -> None:
        if self._body_timeout is not None:
            self._body_timer = self.server.loop.call_later(self._body_timeout, self._on_body_timeout)

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _on_body_timeout(self) -> None:
        if self.state >= CLOSING:
            return  # already answered: what still goes out or comes in has its own timeouts
        gen_log.info("Timeout reading body from %s", self.context)
        self._abandon()
        self.abort()  # as Tornado does, whose option this is


def tell(variables: Context, callback: Callable[[], object]) -> None:
    """Call a handler's or a delegate's callback: an exception in it does not affect the connection."""
    try:
        variables.copy().run(callback)  # a copy: the original may be in use by a call that is still running
    except KeyboardInterrupt:
        raise
    except BaseException:
        app_log.error("Uncaught exception", exc_info=True)
