"""Bytes in, requests out: what one connection has sent. Pure: no I/O, no clock."""

from __future__ import annotations

from typing import Final

from waterspout import limits
from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.http.body import ChunkedBody, FixedBody
from waterspout.http.head import TOKEN_BYTES, Head, HeadLimits, parse_head, repeat_head
from waterspout.message.framing import CHUNKED

#: The event after the last piece of a request's body.
END: Final = "end"
#: How a TLS record with a ClientHello begins (RFC 8446 section 5.1); after two empty lines, version 2 of the
#: PROXY protocol (HAProxy's proxy-protocol.txt); a FastCGI request (its specification, section 3.3).
_TLS_HANDSHAKE: Final = 0x16
_PROXY_V2: Final = b"\0\r\nQUIT\n"
_FASTCGI: Final = b"\x01\x01"
#: Placeholder for the remembered fields while there are none: no head ends like this, so nothing matches.
_NOTHING: Final = b"nothing"


class RequestParser:
    """Takes bytes with `feed`, returns events with `next_event`.

    Attributes: `held`, how many bytes are waiting in it.
    """

    __slots__ = (
        "_block",
        "_body",
        "_bounds",
        "_buffer",
        "_empty_lines",
        "_head",
        "_line",
        "_searched",
    )

    def __init__(self, bounds: HeadLimits) -> None:
        self._bounds = bounds
        self._buffer: bytes | bytearray = b""
        self._searched = 0
        self._empty_lines = 0
        self._body: FixedBody | ChunkedBody | None = None
        # The last head, if it is remembered: its request line, and all that follows, with the empty line.
        self._head: Head | None = None
        self._line, self._block = b"", _NOTHING

    def feed(self, data: bytes) -> None:
        """Bytes from the client."""
        if not self._buffer:
            self._buffer = data
            return
        if type(self._buffer) is bytes:  # growing bytes piece by piece takes quadratic time
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    @property
    def held(self) -> int:
        return len(self._buffer)

    @property
    def has_tiny_chunks(self) -> bool:
        """More chunks of the body have arrived than fit into one event."""
        return self._body is not None and not self._body.done and bool(self._buffer)

    def take_repeated(self, data: bytes) -> Head | None:
        """`feed` and `next_event` in one, if `data` is a whole request without a body, its fields are known,
        and nothing is waiting before it. None: nothing has been taken.
        """
        line_end = data.find(b"\r\n")
        if self._buffer or self._body is not None or not data.startswith(self._block, line_end):
            return None
        if line_end + len(self._block) != len(data) or len(data) > self._bounds.head:
            return None
        head = self._repeat(data[:line_end])
        if head is None or head.body_length:
            return None
        self._empty_lines = 0
        return head

    @property
    def method_begun(self) -> str:
        """The method of the request whose head is being read, if that matters to a refusal: HEAD, or ""."""
        return "HEAD" if self._buffer.startswith(b"HEAD ") else ""

    def take_body(self) -> bytes | None:
        """Return, in one piece, a body that has had no event yet. None: it is chunked, or incomplete."""
        body = self._body
        if body is None:
            return b""
        if type(body) is not FixedBody or len(self._buffer) < body.left:
            return None
        piece = body.feed(bytes(self._buffer))
        self._buffer, self._body = body.rest, None
        return piece

    def next_event(self) -> Head | bytes | str | None:
        """Return a `Head`; then, if there is a body, pieces of it and `END`. None: more bytes are needed.

        Raises RequestRefused: this is not a valid request. The parser must not be used after that.
        """
        if self._body is not None:
            return self._next_of_body(self._body)
        return self._next_head() if self._buffer else None

    def take_rest(self) -> bytes:
        """Remove and return all bytes that have not become an event: they are not HTTP's."""
        rest, self._buffer = bytes(self._buffer), b""
        self._head, self._line, self._block = None, b"", _NOTHING
        return rest

    def _next_head(self) -> Head | None:
        buffer = self._buffer
        # A keep-alive client repeats its fields byte for byte, and often its request line, too: they are
        # validated once. This costs 0.5 µs, where parsing costs 2 to 7.
        line_end = buffer.find(b"\r\n")
        if buffer.startswith(self._block, line_end):
            end = line_end + len(self._block)
            head = self._repeat(bytes(buffer[:line_end])) if end <= self._bounds.head else None
            if head is not None:
                return self._begin(head, end)
        while buffer[0] not in TOKEN_BYTES:
            if not self._skip_empty_line():
                return None
            buffer = self._buffer
            if not buffer:
                return None
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            self._judge_beginning()
            return None
        if end > self._bounds.head:
            raise self._too_large()
        head = parse_head(str(buffer[: end + 2], "latin-1"), self._bounds)
        end += 4
        if end <= limits.REMEMBERED_HEAD:
            line_end = buffer.find(b"\r\n")
            self._head, self._line, self._block = head, bytes(buffer[:line_end]), bytes(buffer[line_end:end])
        return self._begin(head, end)

    def _repeat(self, line: bytes) -> Head | None:
        """The head of a request whose fields are those of the last one; None: parse it."""
        head = self._head
        if head is not None and line != self._line:
            head = repeat_head(str(line, "latin-1"), head, self._bounds)
            if head is not None:
                self._head, self._line = head, line
        return head

    def _begin(self, head: Head, end: int) -> Head:
        """Begin the next request, with `head`, whose bytes stop at `end`."""
        buffer = self._buffer
        self._buffer = bytes(buffer[end:]) if len(buffer) > end else b""
        self._searched = self._empty_lines = 0
        length = head.body_length
        if length:
            self._body = ChunkedBody(self._bounds) if length == CHUNKED else FixedBody(length)
        return head

    def _next_of_body(self, body: FixedBody | ChunkedBody) -> bytes | str | None:
        if not body.done:
            if not self._buffer:
                return None
            piece = body.feed(bytes(self._buffer))
            self._buffer = body.rest
            if piece:
                return piece
            if not body.done:
                return None
        self._body = None
        return END

    def _skip_empty_line(self) -> bool:
        """RFC 9112 section 2.2: an empty line before a request, once or twice. False: perhaps half of one."""
        if self._buffer == b"\r":
            return False
        self._empty_lines += 1
        if not self._buffer.startswith(b"\r\n") or self._empty_lines > limits.EMPTY_LINES:
            raise NotHTTP(_recognize(self._buffer))
        self._buffer = self._buffer[2:]
        return True

    def _judge_beginning(self) -> None:
        """The head is incomplete. Refuse now what can't become one, not when its time is over."""
        buffer, bounds = self._buffer, self._bounds
        line_end = buffer.find(b"\n", max(0, self._searched - 1))
        while line_end > 0 and buffer[line_end - 1] == 13:
            line_end = buffer.find(b"\n", line_end + 1)
        if line_end >= 0:
            raise RequestRefused(400, "a line that ends in a bare LF")
        size = len(buffer)
        line_is_too_long = (
            size > bounds.request_line + 1 and buffer.find(b"\r\n", 0, bounds.request_line + 2) < 0
        )
        if line_is_too_long or size > bounds.head + 4:
            raise self._too_large()
        self._searched = max(0, len(buffer) - 3)

    def _too_large(self) -> RequestRefused:
        bounds = self._bounds
        if self._buffer.find(b"\r\n", 0, bounds.request_line + 2) < 0:
            return RequestRefused(414, f"a request line over {bounds.request_line} bytes")
        return RequestRefused(431, f"a head over {bounds.head} bytes")


def _recognize(data: bytes | bytearray) -> str:
    """Name what a client speaks instead, where that is a common mistake: for the reader of the log."""
    if data[0] == _TLS_HANDSHAKE:
        return "TLS"
    if data.startswith(_PROXY_V2):
        return "the PROXY protocol"
    if data.startswith(_FASTCGI):
        return "FastCGI"
    # Both are zero in uWSGI's protocol, around the size of what follows: nginx's `uwsgi_pass`.
    return "uwsgi" if data[0] == 0 and data[3:4] == b"\0" else ""
