"""One request and its reply, as Tornado's applications see it: `tornado.httputil.HTTPConnection`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextvars import Context
from typing import TYPE_CHECKING, Any, BinaryIO

from tornado.escape import native_str
from tornado.http1connection import HTTP1Connection
from tornado.httputil import HTTPHeaders, HTTPOutputError, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream
from tornado.log import app_log, gen_log

from waterspout.http.head import Fields, Head, amend_head
from waterspout.http.sendfile import IS_THERE, FilePart
from waterspout.limits import HALF_CLOSED, JOINED_SIZE
from waterspout.logs.loggers import escape
from waterspout.message.framing import has_body

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1ConnectionParameters

    from waterspout.http.intake import Intake
    from waterspout.http.private import RequestContext
    from waterspout.http.stream import Stream

_SWITCHING_PROTOCOLS = 101
_FAILED = 500


class Exchange(HTTP1Connection):
    """What a delegate or a handler writes its reply to.

    It is a connection of Tornado's for handlers that make sure, as type checkers want it before
    `set_max_body_size`: nothing of Tornado's is set up or used.

    Attributes: `response_started`; `finished`, nothing more will be written; `keep_alive`, whether another
    request may follow; `detached`, the connection no longer speaks HTTP; `half_close_grace`, how long to wait
    for a reply that has not begun, in seconds, when the client has closed its sending side: it may have left
    altogether; `half_close_callback`, called once when that is noticed; `was_abandoned`, the server has given
    up a reply that was not complete; `verdict`, the application's `waterspout.message.proxies.Verdict` on the
    request; None: it is as received.
    """

    #: Requests are validated before the application sees them, no request after a last reply is run, and a
    #: connection that is closed before its request was complete discards further input for a while.
    strict = True

    # What most exchanges never change is set on the class.
    close_callback: Callable[[], None] | None = None
    half_close_callback: Callable[[], None] | None = None
    response_started = False
    switches_protocols = False
    finished = False
    was_abandoned = False
    detached = False
    half_close_grace = HALF_CLOSED
    #: The task that writes the reply: a reference to it, where there is no other.
    task: asyncio.Future[None] | None = None
    verdict: Any = None
    #: The context variables that the application sees.
    variables: Context
    #: The status with which the server itself has answered, or cut, this request; 0: it has not.
    refused = 0
    #: The ID that such an answer carries: set by whoever logs the request. "": none.
    request_id = ""
    _context: RequestContext | None = None
    _head_written = False
    _chunked = False
    _left: int | None = None  # of a reply with Content-Length; None: not known
    _files: list[FilePart] | None = None

    def __init__(self, connection: Intake, head: Head, max_body_size: int) -> None:
        self._connection = connection
        self._writer = connection.writer
        self.head = head
        self.keep_alive = head.keep_alive
        self.max_body_size = max_body_size

    # -- Tornado's interface -----------------------------------------------------------------------------

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> asyncio.Future[None]:
        """Write the reply's head, and `chunk` in the same packet.

        The future is done when there is room for more, or fails with StreamClosedError. Raises ValueError:
        CR, LF, NUL or a character outside latin-1 in the head. Raises HTTPOutputError: `chunk` is longer than
        the Content-Length, or `finish` has been called. Raises StreamBufferFullError: it exceeds the limit
        that a handler has set (`Stream.max_write_buffer_size`).
        """
        assert isinstance(start_line, ResponseStartLine)
        self._refuse_finished(b"a head")
        if self._writer.limit is not None and chunk:
            self._writer.check_limit(len(chunk))
        if start_line.code < 200 and start_line.code != _SWITCHING_PROTOCOLS:
            # RFC 9110 section 15.2: the final reply is still to come; HTTP/1.0 has no interim ones.
            interim = _format(start_line.code, start_line.reason, list(headers.get_all()))
            return self._writer.write(b"" if self.head.version == "HTTP/1.0" else interim)
        self.response_started = True
        return self._write_head(self._serialize_headers(start_line.code, start_line.reason, headers), chunk)

    def _write_head(self, head: bytes, chunk: bytes | None) -> asyncio.Future[None]:
        if not chunk:
            return self._writer.write(head)
        chunk = self._frame(chunk)
        if len(chunk) > JOINED_SIZE:  # a copy of a large piece costs more than a second write
            self._writer.write(head)
            return self._writer.write(chunk)
        return self._writer.write(head + chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """Write a piece of the reply's body. Future and errors as for `write_headers`."""
        self.response_started = True
        if self._writer.closed:
            return self._writer.write(chunk)  # which fails
        self._refuse_finished(chunk)
        if self._writer.limit is not None:
            self._writer.check_limit(len(chunk))
        return self._writer.write(self._frame(chunk))

    def finish(self) -> None:
        """The reply is complete. Raises HTTPOutputError: it is shorter than its Content-Length."""
        if self.finished:
            return
        if self._left and not self._writer.closed and not self._writer.is_lost:
            self.close()
            raise HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")
        self.finished = True
        self.close_callback = self.half_close_callback = None  # no reference cycle
        if not self._head_written:
            # The client couldn't tell a reply that never came from a late one, or from the next one: a head
            # may have been refused.
            self.close()
        elif self.detached:
            pass
        elif not self.switches_protocols:
            self._connection.on_reply_finished()
        elif (task := asyncio.current_task() or self.task) is not None and not task.done():
            # `self.task` is not set where Tornado's own delegate runs the handler, and is another where the
            # handler has begun a task for this.
            task.add_done_callback(self._end_unswitched)
        else:
            self._connection.server.loop.call_soon(self._end_unswitched)

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Set a callback, called once if the client leaves before `finish` and its request was complete."""
        self.close_callback = callback

    def set_max_body_size(self, max_body_size: int) -> None:
        """Set the largest body of this request, in bytes; a larger one is refused with 413."""
        self.max_body_size = max_body_size

    def set_body_timeout(self, timeout: float | None) -> None:
        """Set how many seconds this request's body may take, counted from when its head is handed on, or from
        now if it already has been; None: only the server's own limits apply.
        """
        self._connection.set_body_timeout(timeout)

    def detach(self) -> IOStream:
        """Leave HTTP. Returns the socket as an `IOStream`, with what the client sent after its request."""
        self.detached = self.finished = True
        self.close_callback = self.half_close_callback = None  # as Tornado's; and no reference cycle
        return self._connection.detach()

    def close(self) -> None:
        """Close the connection; what was written still goes out."""
        self.keep_alive = False
        self._connection.close()

    @property
    def context(self) -> RequestContext:  # type: ignore[override]  # an attribute of Tornado's
        """Who the client is."""
        return self._context or self._connection.context

    @property
    def stream(self) -> Stream | None:  # type: ignore[override]  # an attribute of Tornado's, an IOStream
        """The part of an `IOStream` that handlers use; None when detached."""
        return None if self.detached else self._connection.stream

    @property
    def params(self) -> HTTP1ConnectionParameters:  # type: ignore[override]  # an attribute of Tornado's
        """The server's parameters, as Tornado's connection has them."""
        return self._connection.server.conn_params

    # -- beyond Tornado's --------------------------------------------------------------------------------

    def become_whole(self) -> bytes | None:
        """Return the request's body if all of it has arrived: then only the caller gets it.

        None: it has to be received by a delegate.
        """
        return self._connection.become_whole()

    def write_reply(
        self, status: int, reason: str, headers: HTTPHeaders, body: bytes
    ) -> asyncio.Future[None]:
        """Write a whole reply at once: `write_headers` and `finish`, for a reply that has a body and of which
        nothing has been written. `headers` include the length of `body`.

        Future and errors as for `write_headers`.
        """
        if self._writer.limit is not None:
            self._writer.check_limit(len(body))
        self.response_started = True
        plain: dict[str, str] | None = getattr(headers, "plain", None)
        if plain is None or "Connection" in plain or "Transfer-Encoding" in plain or not self._goes_on:
            head = self._serialize_headers(status, reason, headers)
        else:
            # No field about the connection or the transfer is needed, so there is none to look for.
            head = _format(status, reason, plain.items())
            self._head_written = True
        self._left = 0
        future = self._writer.write(head + body if len(body) <= JOINED_SIZE else head)
        if len(body) > JOINED_SIZE:
            future = self._writer.write(body)
        self.finished = True
        self.close_callback = None
        self._connection.on_reply_finished()
        return future

    def write_judged(
        self, status: int, length: int, head: bytes, chunk: bytes | None
    ) -> asyncio.Future[None]:
        """Like `write_headers`, for a validated `head`: status line and fields as they are to be sent, each
        with its CRLF. None of them is about the connection or the transfer; `length` is the value of the
        Content-Length among them, -1 without.
        """
        self.response_started = self._head_written = True
        request = self.head
        if (
            length >= 0
            and self.keep_alive
            and request.version == "HTTP/1.1"
            and request.method != "HEAD"
            and status not in (204, 304)
            and not self._connection.server.draining
        ):
            self._left = length  # what most replies are
            return self._write_head(head + b"\r\n", chunk)
        said = None if length < 0 else str(length)
        self._left, self._chunked, self.keep_alive, more = self._decide_framing(
            status, said, False, self._connection.server.draining
        )
        lines = "".join([f"{name}: {value}\r\n" for name, value in more]) + "\r\n"
        return self._write_head(head + lines.encode("ascii"), chunk)

    @property
    def write_timeout(self) -> float:
        """How long the client may take none of the data sent to it (seconds)."""
        return self._connection.server.settings.write_timeout

    @property
    def sends_files(self) -> bool:
        """Whether `write_file` may work."""
        return IS_THERE and not self.context.is_secure

    def write_file(self, file: BinaryIO, offset: int, size: int) -> FilePart | None:
        """Write `size` bytes of an open file as a piece of the reply's body, once the head has been written.
        `file` is closed at the end. What is written next waits for it.

        Returns None and does nothing if that is impossible: TLS, a reply without a length, or whose length is
        too small for it, a closed connection, or no descriptor left.
        """
        if not self.sends_files or self._left is None or self._left < size or self._writer.closed:
            return None
        connection = self._connection
        try:
            part = FilePart(file, offset, size, connection.stream.fileno())
        except OSError:  # no descriptor is left
            return None
        self._left -= size
        self._files = self._files or []
        self._files.append(part)
        self._writer.write_file(part, connection.resume_writing, self._on_file_failure)
        return part

    @property
    def file_bytes(self) -> int:
        """Bytes of the reply's body that come from files: all that were written, as long as the connection
        lasts; those that were sent, once it is lost.
        """
        if self._files is None:
            return 0
        is_lost = self.is_lost
        return sum(part.sent if is_lost else part.sent + part.left for part in self._files)

    def _on_file_failure(self, reason: str) -> None:
        if reason:  # it is not the client's
            self.refused = _FAILED
            app_log.error("%s: %s; the reply is cut off", self._describe(), reason)
        self._connection.abort()

    def amend(self, verdict: Any) -> None:
        """From here on the request is what `verdict` says: see `waterspout.message.proxies`."""
        self.verdict = verdict
        self.head = amend_head(self.head, verdict.target, verdict.removed, verdict.host)
        self._context = verdict.context

    def cut(self) -> None:
        """The reply can't be completed: let the client see that it is broken, never a clean end."""
        if self.finished:
            return  # the connection is already serving another one
        self.finished = True
        self.close_callback = self.half_close_callback = None
        self._connection.cut()

    def tell_left(self) -> None:
        """Call the close callback, unless the reply is finished, or the connection handed over, by now."""
        callback, self.close_callback = self.close_callback, None
        if callback is not None:
            callback()

    def reset(self) -> None:
        """Like `cut`, but at once: what the client has not taken is lost, and not kept anywhere."""
        if not self.finished:
            self.cut()
            self._connection.reset()

    def switch_protocols(self, protocol: asyncio.Protocol) -> None:
        """Leave HTTP: `protocol` takes over the transport, and what the client has already sent.

        It is called as asyncio calls a new protocol: `connection_made`, then `pause_writing` if much is still
        unsent, `data_received` and, if the client has sent EOF, `eof_received`.
        """
        self.detached = self.finished = True
        self.close_callback = self.half_close_callback = None
        self._connection.switch_protocols(protocol)

    @property
    def is_delimited(self) -> bool:
        """Whether the client can tell a cut reply from a complete one."""
        return not self._head_written or self._chunked or self._left is not None

    @property
    def is_sent(self) -> bool:
        """Whether everything that the reply's head promises has been written, `finish` called or not."""
        return self._head_written and self._left == 0 and not self._writer.wrote_in_vain

    @property
    def fell_short(self) -> bool:
        """The client left, or was cut, before the reply was complete: then the handler, which was notified,
        may have ended cleanly before the connection did.
        """
        return self.was_abandoned or (self.is_lost and not self.is_sent)

    @property
    def is_lost(self) -> bool:
        """The connection has ended during the exchange: the client left, or was cut."""
        return (self._connection.is_over or self._writer.is_lost) and not self.detached

    @property
    def no_keep_alive(self) -> bool:
        """Whether this is the connection's last reply."""
        return not self.keep_alive or (self._connection.server.draining and not self.response_started)

    @no_keep_alive.setter
    def no_keep_alive(self, value: bool) -> None:
        self.keep_alive = not value

    def _describe(self) -> str:
        path = escape(self.head.target.partition("?")[0])
        return f"{self.head.method} {path:.200} ({self.context.remote_ip})"

    def _end_unswitched(self, _task: Any = None) -> None:
        """After a 101: end the connection if nothing has taken it over. No further request is read."""
        if self.detached:
            return
        if self.task is not None and not self.task.done():
            self.task.add_done_callback(self._end_unswitched)
            return
        if not self.is_lost:
            gen_log.warning(
                "%s was answered 101, but nothing took over the connection: it is closed", self._describe()
            )
        self.keep_alive = False
        self._connection.on_reply_finished()

    @property
    def _goes_on(self) -> bool:
        """The connection stays open after this reply, and no field has to say so."""
        connection = self._connection
        return (
            self.keep_alive
            and self.head.version == "HTTP/1.1"
            and not connection.server.draining
            and connection.is_whole
        )

    # -- the reply's head and framing (RFC 9112 section 6) -----------------------------------------------

    def _decide_framing(
        self, status: int, length: str | None, closes: bool, is_last: bool
    ) -> tuple[int | None, bool, bool, Fields]:
        """Return how many bytes follow (None: not known), whether in chunks, whether the connection stays
        open, and the fields that say so. `length` and `closes`: what the head already says; `is_last`: the
        connection does not stay open after this reply, unless it switches protocols.
        """
        head = self.head
        modern = head.version == "HTTP/1.1"
        left, chunked, keep_alive = None, False, self.keep_alive
        more: Fields = []
        if not has_body(head.method, status):
            left = 0
        elif length is not None:
            left = _parse_length(length)
        elif modern:
            chunked = True
            more.append(("Transfer-Encoding", "chunked"))
        else:
            keep_alive = False  # the end of the connection is the end of the reply
        if closes or (is_last and not self.switches_protocols):
            keep_alive = False
        if self.switches_protocols or closes:
            pass
        elif not keep_alive and (modern or head.keep_alive):  # HTTP/1.0 expects it, unless it asked to stay
            more.append(("Connection", "close"))
        elif keep_alive and not modern:
            more.append(("Connection", "Keep-Alive"))
        return left, chunked, keep_alive, more

    def _serialize_headers(self, status: int, reason: str, headers: HTTPHeaders) -> bytes:
        """Serialize the head of a handler's reply; what it says about the connection is set right."""
        closes = False
        self.switches_protocols = status == _SWITCHING_PROTOCOLS
        if "Connection" in headers and not self.switches_protocols:
            options = headers["Connection"].lower().split(",")
            closes = "close" in [option.strip() for option in options]
            if not closes:
                del headers["Connection"]
        length = headers.get("Content-Length")
        is_ambiguous = "Transfer-Encoding" in headers
        if length is None and is_ambiguous:
            del headers["Transfer-Encoding"]
            is_ambiguous = False
        connection = self._connection
        # A native handler that answers before all of its request has arrived ends the connection: see
        # `Intake.on_reply_finished`. A client that isn't told would reuse it (RFC 9112 section 9.6). One that
        # can't tell how long the reply is (sent as with Tornado) could take the rest of it for the next one.
        is_last = connection.server.draining or not connection.is_whole or is_ambiguous
        left, chunked, keep_alive, more = self._decide_framing(status, length, closes, is_last)
        fields = [(name, native_str(value)) for name, value in headers.get_all()]  # bytes, too, as in Tornado
        text = _format(status, reason, [*fields, *more])
        # Only now: a head that can't be written leaves everything as it was.
        self._left, self._chunked, self.keep_alive = left, chunked, keep_alive
        self._head_written = True
        return text

    def _refuse_finished(self, more: bytes | None) -> None:
        """Raises HTTPOutputError: data after a complete reply would be taken for part of the next one."""
        if self.finished and more and not self._writer.closed:
            raise HTTPOutputError("Tried to write more data after the end of the reply")

    def _frame(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.close()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._chunked and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk


def _format(status: int, reason: str, fields: Collection[tuple[str, str]]) -> bytes:
    """Serialize status line and fields. Raises ValueError: a character would change their meaning."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in fields])
    text = f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n"
    ends = len(fields) + 2
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise ValueError(f"Illegal characters (CR, LF or NUL) in a header: {text!r}")
    return text.encode("latin-1")


def _parse_length(text: Any) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(f"not a Content-Length: {text!r}")
    return int(text)
