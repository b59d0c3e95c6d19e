"""A reply on its way to the client, through Tornado's `HTTPConnection`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from tornado.httputil import HTTPHeaders, ResponseStartLine

from waterspout.limits import LINGER, LINGER_SIZE, RETRY_AFTER, WRITE_TIMEOUT
from waterspout.message.closing import close_behind, cut_reply
from waterspout.message.framing import has_body
from waterspout.message.origin import SERVER, http_date
from waterspout.message.record import Record
from waterspout.wsgi.exchange.headers import WireHeaders
from waterspout.wsgi.frames import Headers, ReplyHead, build_reply


class Reply:
    """Writes one reply. `connection`: an `HTTPConnection` of Tornado's or of our own server.

    `request_headers` is the object that the server itself uses: where a field would make it do something
    wrong, that field is deleted.

    Attributes: `begun`, its head has been written; `finished`, all of it has.
    """

    # What most replies never change is set on the class.
    _delimited = True
    _close_after = False
    _linger: asyncio.TimerHandle | None = None
    _discarded = 0
    begun = False
    finished = False

    def __init__(self, connection: Any, version: str, request_headers: HTTPHeaders, record: Record) -> None:
        self._connection = connection
        self._version = version
        self._request_headers = request_headers
        self._record = record
        #: Our own server's connection, which itself enforces the rules that are enforced here for Tornado's.
        self._strict = getattr(connection, "strict", False)

    def begin(self, head: ReplyHead, data: bytes) -> None:
        """Write the head, and `data` in the same packet."""
        self.begun = True
        self._record.status = head.status
        if self._strict:
            self._record.bytes_sent += len(data)
            if head.status < 200:
                self.close_when_done()  # no final reply: the client would wait for one
            self._connection.write_judged(head.status, head.length, head.wire, data)
            return
        headers = WireHeaders(head.headers)
        self._decide_end(head, headers)
        # Tornado encodes the phrase as UTF-8, so non-ASCII characters would be sent as something else.
        reason = head.reason.encode("ascii", "replace").decode("ascii")
        start_line = ResponseStartLine("HTTP/1.1", head.status, reason)
        self._record.bytes_sent += len(data)
        if self._close_after and self._version == "HTTP/1.1":
            headers["Connection"] = "close"
        self._connection.write_headers(start_line, headers, data or None)

    def _decide_end(self, head: ReplyHead, headers: WireHeaders) -> None:
        """How the client will know where the reply ends (RFC 9112 section 6.3)."""
        if head.status < 200:
            # No final reply: the client would wait for one. Let it see the end.
            self.close_when_done()
        bodiless = not has_body(self._record.method, head.status)
        if self._version == "HTTP/1.0" and not bodiless and "Content-Length" not in headers:
            # The end of the connection ends the reply, whatever the client asked for; without this Tornado
            # promises keep-alive.
            self._delimited = False
            self.close_when_done()
            if "Connection" in self._request_headers:
                del self._request_headers["Connection"]

    def write(self, data: bytes) -> None:
        """A piece of the body. Use `when_flushed` to learn when to write the next one."""
        self._record.bytes_sent += len(data)
        self._connection.write(data)

    def when_flushed(self, callback: Callable[[], None]) -> bool:
        """True: all that was written has gone to the kernel. Else False; `callback` is called when it has."""
        stream = self._connection.stream
        if stream is None or stream.closed():
            return True
        # Not the futures of `write`: one is forgotten, or done too early, when another write follows.
        flushed = stream.write(b"")
        if flushed.done():
            return True
        flushed.add_done_callback(lambda _: callback())
        return False

    def say_continue(self) -> None:
        """Let the client send its body (RFC 9110 section 10.1.1)."""
        if not self._connection.stream.closed():
            self._connection.stream.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    @property
    def write_timeout(self) -> float:
        """How long its client may take to make room for a stretch of it (seconds); inf: our own server, which
        has the same option, cuts it by itself.
        """
        return math.inf if self._strict else WRITE_TIMEOUT

    def finish(self) -> None:
        """The reply is whole, and the request's body has been read, or never will be."""
        self.abandon()
        if self.finished:
            return
        self.finished = True
        self._connection.finish()
        if self._close_after and not self._strict and self.when_flushed(self._close):
            self._close()

    def finish_later(self) -> None:
        """The reply is whole, but the client still sends: `finish` when it is done, or soon.

        Closing a socket with unread bytes resets it, and a reset can eat the reply (RFC 9112 section 9.6).
        """
        if self._close_after and self._strict:
            self.finish()  # our own server does this by itself
            return
        self._linger = asyncio.get_running_loop().call_later(LINGER, self.finish)

    def discard(self, size: int) -> bool:
        """`size` more bytes of a body that nobody reads have come: this is limited, too.

        True: read no more of it, as long as the reply is not whole.
        """
        self._discarded += size
        if self.lingers and self._discarded > LINGER_SIZE:
            self.finish()
        return not self.finished and self._discarded > LINGER_SIZE

    @property
    def lingers(self) -> bool:
        """`finish_later` was called, and its timer is still running."""
        return self._linger is not None

    def abandon(self) -> None:
        """The client is gone: there is nothing left to wait for."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None

    def cut(self, *, at_once: bool = False) -> None:
        """The reply can't be completed: let the client see that it is broken, never a clean end.

        `at_once`: don't wait until what was written has been sent.
        """
        if self.finished:
            return
        self.finished = True
        cut_reply(self._connection, is_delimited=self._delimited, at_once=at_once)

    def answer(self, status: int, *, close: bool = False) -> None:
        """The server's own short answer, whole. `close`: nothing more is served on this connection."""
        phrase = HTTPStatus(status).phrase
        body = f"{status} {phrase}\n".encode()
        headers: Headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Date", http_date()),
            ("Server", SERVER),
            ("X-Request-Id", self._record.request_id),
        ]
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers.append(("Retry-After", str(RETRY_AFTER)))
        if close:
            self.close_when_done()
        shown = body if has_body(self._record.method, status) else b""
        self.begin(build_reply(status, phrase, headers), shown)

    def close_when_done(self) -> None:
        """Make this the last reply on its connection."""
        self._close_after = True
        if self._strict:
            self._connection.keep_alive = False
        else:
            close_behind(self._connection)

    def _close(self) -> None:
        stream = self._connection.stream
        if stream is not None and not stream.closed():
            stream.close()
