"""One request and its reply, as Tornado's applications see it: `tornado.httputil.HTTPConnection`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tornado.httputil import HTTPConnection, HTTPHeaders, HTTPOutputError, RequestStartLine, ResponseStartLine
from tornado.iostream import IOStream

from waterspout.http.head import Fields, Head
from waterspout.limits import HALF_CLOSED, WRITE_SIZE

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1ConnectionParameters

    from waterspout.http.connection import Connection
    from waterspout.http.private import RequestContext
    from waterspout.http.stream import Stream

_SWITCHING_PROTOCOLS = 101


class Exchange(HTTPConnection):
    """What a delegate or a handler writes its reply to.

    Attributes: `response_started`; `finished`, nothing more will be written; `keep_alive`, whether another
    request may follow; `detached`, whatever was HTTP here is over; `half_close_grace`, how long a reply that
    has not begun is worth waiting for, in seconds, when the client has closed its sending side: it may have
    left altogether.
    """

    #: Requests have been judged before anybody sees them, nothing behind a last reply is run, and a
    #: connection that is closed before its request was whole throws away for a while what still comes.
    strict = True

    # What most exchanges never change stands on the class.
    close_callback: Callable[[], None] | None = None
    response_started = False
    switches_protocols = False
    finished = False
    detached = False
    half_close_grace = HALF_CLOSED
    _head_written = False
    _chunked = False
    _left: int | None = None  # of a reply with Content-Length; None: not known

    def __init__(self, connection: Connection, head: Head, max_body_size: int) -> None:
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
        CR, LF, NUL or what latin-1 can't hold in the head. Raises HTTPOutputError: `chunk` is longer than
        the Content-Length.
        """
        assert isinstance(start_line, ResponseStartLine)
        if start_line.code < 200 and start_line.code != _SWITCHING_PROTOCOLS:
            # RFC 9110 section 15.2: the reply is still to come.
            return self._writer.write(_format(start_line.code, start_line.reason, list(headers.get_all())))
        self.response_started = True
        return self._write_head(self._serialize_headers(start_line.code, start_line.reason, headers), chunk)

    def _write_head(self, head: bytes, chunk: bytes | None) -> asyncio.Future[None]:
        if not chunk:
            return self._writer.write(head)
        chunk = self._frame(chunk)
        if len(chunk) > WRITE_SIZE:  # a copy of a large piece costs more than a second write
            self._writer.write(head)
            return self._writer.write(chunk)
        return self._writer.write(head + chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        """A piece of the reply's body. Futures and errors as those of `write_headers`."""
        self.response_started = True
        return self._writer.write(self._frame(chunk))

    def finish(self) -> None:
        """The reply is whole. Raises HTTPOutputError: it is shorter than its Content-Length."""
        if self.finished:
            return
        if self._left and not self._writer.closed:
            self.close()
            raise HTTPOutputError(f"Tried to write {self._left} bytes less than Content-Length")
        if self._chunked:
            self._writer.write(b"0\r\n\r\n")
        self.finished = True
        self.close_callback = None
        if not self.response_started:
            self.close()  # nobody could tell the reply that never came from one that is late
        elif not self.switches_protocols and not self.detached:
            self._connection.on_reply_finished()

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Called once, if the client leaves before `finish`, and its request was whole."""
        self.close_callback = callback

    def set_max_body_size(self, size: int) -> None:
        """Largest body of this request, in bytes; a larger one is refused with 413."""
        self.max_body_size = size

    def set_body_timeout(self, timeout: float) -> None:
        """Seconds that this request's body may take, from now on."""
        self._connection.set_body_timeout(timeout)

    def detach(self) -> IOStream:
        """Leave HTTP: the socket as an `IOStream`, with what the client has sent behind its request."""
        self.detached = self.finished = True
        return self._connection.detach()

    def close(self) -> None:
        """Close the connection; what was written still goes out."""
        self.keep_alive = False
        self._connection.close()

    @property
    def context(self) -> RequestContext:
        """Who the client is."""
        return self._connection.context

    @property
    def stream(self) -> Stream | None:
        """What of an `IOStream` handlers use; None when detached."""
        return None if self.detached else self._connection.stream

    @property
    def params(self) -> HTTP1ConnectionParameters:
        """The server's parameters, as Tornado's connection has them."""
        return self._connection.server.conn_params

    # -- beyond Tornado's --------------------------------------------------------------------------------

    def write_reply(
        self, status: int, reason: str, headers: HTTPHeaders, body: bytes
    ) -> asyncio.Future[None]:
        """A whole reply in one write: `write_headers` and `finish`, for a reply of which nothing has been
        written. `headers` hold the length of `body`.

        Future and errors as those of `write_headers`.
        """
        self.response_started = True
        head = self._serialize_headers(status, reason, headers)
        self._left = 0
        future = self._writer.write(head + body if len(body) <= WRITE_SIZE else head)
        if len(body) > WRITE_SIZE:
            future = self._writer.write(body)
        self.finished = True
        self.close_callback = None
        self._connection.on_reply_finished()
        return future

    def write_fields(
        self, status: int, reason: str, fields: Fields, chunk: bytes | None
    ) -> asyncio.Future[None]:
        """As `write_headers`, for fields that have been judged: in the order and case that they are given.
        None of them speaks of the connection or of the transfer.
        """
        self.response_started = True
        length = None
        for name, value in fields:
            if len(name) == 14 and name.lower() == "content-length":
                length = value
        return self._write_head(self._serialize(status, reason, fields, length, False), chunk)

    def cut(self) -> None:
        """The reply can't be completed: let the client see that it is broken, never a clean end."""
        self.finished = True
        self.close_callback = None
        self._connection.cut()

    def reset(self) -> None:
        """As `cut`, and at once: what the client has not taken is lost, and held nowhere."""
        self.cut()
        self._connection.reset()

    def switch_protocols(self, protocol: asyncio.Protocol) -> None:
        """Leave HTTP: `protocol` takes the transport over, and what the client has sent already.

        It is called as asyncio calls a new protocol: `connection_made`, then `data_received`.
        """
        self.detached = self.finished = True
        self._connection.switch_protocols(protocol)

    @property
    def is_delimited(self) -> bool:
        """Whether the client can tell a reply that is cut from one that is whole."""
        return not self._head_written or self._chunked or self._left is not None

    @property
    def no_keep_alive(self) -> bool:
        """Whether this is the connection's last reply."""
        return not self.keep_alive

    # -- the reply's head and framing (RFC 9112 section 6) -----------------------------------------------

    def _serialize(self, status: int, reason: str, fields: Fields, length: str | None, closes: bool) -> bytes:
        """The head. `length` and `closes`: what `fields` say of Content-Length and of Connection: close."""
        head = self.head
        modern = head.version == "HTTP/1.1"
        left, chunked, keep_alive = None, False, self.keep_alive
        if head.method == "HEAD" or status in (204, 304) or status < 200:
            left = 0
        elif length is not None:
            left = _parse_length(length)
        elif modern:
            chunked = True
            fields = [*fields, ("Transfer-Encoding", "chunked")]
        else:
            keep_alive = False  # the end of the connection is the end of the reply
        if closes or (self._connection.server.draining and not self.switches_protocols):
            keep_alive = False
        if self.switches_protocols or closes:
            pass
        elif not keep_alive and modern:
            fields = [*fields, ("Connection", "close")]
        elif keep_alive and not modern:
            fields = [*fields, ("Connection", "Keep-Alive")]
        text = _format(status, reason, fields)
        # Only now: a head that can't be written leaves all as it was.
        self._left, self._chunked, self.keep_alive = left, chunked, keep_alive
        self._head_written = True
        return text

    def _serialize_headers(self, status: int, reason: str, headers: HTTPHeaders) -> bytes:
        """The head of a handler's reply: what it says of the connection gives way to what is true."""
        closes = False
        self.switches_protocols = status == _SWITCHING_PROTOCOLS
        if "Connection" in headers and not self.switches_protocols:
            closes = "close" in headers["Connection"].lower()
            if not closes:
                del headers["Connection"]
        length = headers.get("Content-Length")
        if length is None and "Transfer-Encoding" in headers:
            del headers["Transfer-Encoding"]
        return self._serialize(status, reason, list(headers.get_all()), length, closes)

    def _frame(self, chunk: bytes) -> bytes:
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.close()
                raise HTTPOutputError("Tried to write more data than Content-Length")
        if self._chunked and chunk:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk)
        return chunk


def _format(status: int, reason: str, fields: Fields) -> bytes:
    """Status line and fields. Raises ValueError: what would say something else than it should."""
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
