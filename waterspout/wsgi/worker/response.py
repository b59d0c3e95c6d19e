"""start_response, and the reply that follows it. Leaf: chunks in, frames out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final

from waterspout.exceptions import InvalidResponse
from waterspout.limits import DATA_FRAME, FRAME_LIMIT, SMALL_REPLY
from waterspout.message.framing import has_body
from waterspout.message.origin import SERVER, http_date, origin_fields
from waterspout.wsgi.frames import (
    CUT,
    DATA,
    END,
    REPLY,
    WHOLE,
    Headers,
    ReplyHead,
    pack,
    pack_answer,
    serialize_reply,
)
from waterspout.wsgi.worker.fields import (
    DATE,
    LENGTH,
    REQUEST_ID,
    SERVER_NAME,
    CheckedHeaders,
    check_headers,
    leave_body,
    parse_status,
)

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

logger = logging.getLogger("waterspout.wsgi")


_ORIGIN: Final = DATE | SERVER_NAME
_NONE: Final = CheckedHeaders([], 0, -1)


class Response:
    """One reply, from `start_response` to its last byte.

    Frames go to `send` as soon as they are known. Nothing is sent before the first non-empty chunk, so
    `start_response` may be called again with `exc_info` until then (PEP 3333, "The start_response()
    Callable").

    Attributes: `started`, the head has been sent; `ended`, END has been sent, or nobody wants it: whatever
    the app still yields is dropped; `taken_over`, because the view answers by itself.
    """

    def __init__(self, method: str, request_id: str, send: Callable[[bytes], None]) -> None:
        self._method = method
        self._request_id = request_id
        self._send = send
        self._status: tuple[int, str] | None = None
        self._headers = _NONE
        self._length = -1
        self._sent = 0
        self._bodiless = False
        self._turn = threading.Lock()
        self.started = False
        self.ended = False
        self.taken_over = False

    # -- what the app calls ------------------------------------------------------------------------------

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's `start_response`; returns its `write`.

        Raises AssertionError when called again without `exc_info`; the exception in `exc_info` when the
        head has already been sent; InvalidResponse for an invalid status or header.
        """
        if exc_info:
            try:
                if self.started and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
                if self.started:
                    raise AssertionError("start_response() called again after the head, without an exception")
            finally:
                exc_info = None  # PEP 3333: break the cycle traceback -> frame -> exc_info
        elif self._status is not None:
            raise AssertionError("start_response() called a second time without exc_info")
        parsed, checked = parse_status(status), check_headers(headers)
        # From here on nothing raises: a refused call changes nothing.
        self._status, self._headers, self._length = parsed, checked, checked.length
        self._bodiless = not has_body(self._method, parsed[0])
        return self.write

    # -- what the lane worker calls ----------------------------------------------------------------------

    @property
    def unwanted(self) -> bool:
        """The head is known, and its client asked for no more: there is no need to run the iterable."""
        return self._status is not None and self._method == "HEAD"

    def write(self, chunk: bytes, *, only: bool = False) -> None:
        """One chunk of the body; `only`: nothing follows it, so its length is the body's. To the app this is
        PEP 3333's `write`, which a thread that the view has started may call at any time.

        Raises InvalidResponse: not bytes, or `start_response` has not been called.
        """
        with self._turn:
            if not isinstance(chunk, bytes):
                meant = "; return [body], a list of bytes" if isinstance(chunk, int) else ""
                raise InvalidResponse(f"the body must be bytes, not {type(chunk).__name__}{meant}")
            if self._status is None:
                raise InvalidResponse("the app sends a body before start_response()")
            if not chunk or self.ended:
                return
            if only and self._length < 0 and not self._bodiless and not self.started:
                self._length = len(chunk)
            if self._bodiless:
                self._finish(WHOLE)
                return
            if self._length >= 0:
                chunk = self._cut_to_length(chunk)
            if len(chunk) == self._length and not self.started and len(chunk) <= SMALL_REPLY:
                answer = pack_answer(self._build_head(), chunk)
                self.ended = True
                self._send(answer)
            else:
                self._write_data(chunk)

    def end(self) -> None:
        """The end of the iterable. Raises InvalidResponse: the app never called `start_response`."""
        if self.ended:
            return  # most have ended, and it never becomes False again
        with self._turn:
            if self.ended:
                return
            if self._status is None:
                raise InvalidResponse("the app never called start_response()")
            if not self.started and not self._bodiless:
                if self._length > 0:
                    # The app's length may be that of a file which a proxy sends in place of this body.
                    self._headers = leave_body(self._headers)
                    self._length = self._headers.length
                self._length = max(0, self._length)
            whole = self._bodiless or self._length < 0 or self._sent == self._length
            if not whole:
                logger.error(
                    "request %s: the body ended after %d of %d bytes: the connection is cut off",
                    self._request_id,
                    self._sent,
                    self._length,
                )
            self._finish(WHOLE if whole else CUT)

    def fail(self) -> None:
        """The app raised: send a 500 if nothing has been sent yet, else cut the connection."""
        with self._turn:
            if self.ended:
                return
            if self.started:
                self._send(self._end(CUT))
                return
            body = b"500 Internal Server Error\n"
            self._status = (500, "Internal Server Error")
            self._headers = check_headers([("Content-Type", "text/plain; charset=utf-8")])
            self._length = len(body)
            answer = pack_answer(self._build_head(), body if has_body(self._method, 500) else b"")
            self.ended = True
            self._send(answer)

    def take_over(self) -> bool:
        """The view answers by itself: whatever it writes here is dropped. False: it has answered already."""
        with self._turn:
            if self.started or self.ended:
                return False
            self.ended = self.taken_over = True
            return True

    def leave(self) -> None:
        """The request is over, however it ended: wait for a write in progress, drop any later one. The lane
        belongs to another client then.
        """
        with self._turn:
            self.ended = True

    # -- framing -----------------------------------------------------------------------------------------

    def _write_data(self, chunk: bytes) -> None:
        """A large chunk is sent in pieces, so that CANCEL is seen between them."""
        frames = self._take_head()
        for start in range(0, len(chunk), DATA_FRAME):
            piece = chunk[start : start + DATA_FRAME] if len(chunk) > DATA_FRAME else chunk
            self._sent += len(piece)
            frames += pack(DATA, piece)
            if self._sent == self._length:
                # Complete by its Content-Length: the client need not wait for what the iterable does next.
                frames += self._end(WHOLE)
            self._send(frames)
            frames = b""

    def _cut_to_length(self, chunk: bytes) -> bytes:
        left = self._length - self._sent
        if len(chunk) <= left:
            return chunk
        logger.warning(
            "request %s: the body is longer than its Content-Length of %d: the rest is cut off",
            self._request_id,
            self._length,
        )
        return chunk[:left]

    def _take_head(self) -> bytes:
        """The REPLY frame, or nothing when it has been sent. Raises InvalidResponse: absurdly large."""
        return b"" if self.started else pack(REPLY, serialize_reply(self._build_head()))

    def _build_head(self) -> ReplyHead:
        """Raises InvalidResponse: absurdly large."""
        assert self._status is not None
        status, reason = self._status
        fields, kinds, _ = self._headers
        length = self._length
        if status == 204 or status < 200:
            # RFC 9110 section 8.6: no Content-Length in 1xx and 204.
            fields = [field for field in fields if field[:15].lower() != "content-length:"]
            length = -1
        elif length >= 0 and not kinds & LENGTH:
            fields.append(f"Content-Length: {length}\r\n")
        if kinds & _ORIGIN:
            date = "" if kinds & DATE else f"Date: {http_date()}\r\n"
            origin = date if kinds & SERVER_NAME else f"{date}Server: {SERVER}\r\n"
        else:
            origin = origin_fields()
        named = "" if kinds & REQUEST_ID else f"X-Request-Id: {self._request_id}\r\n"
        text = f"HTTP/1.1 {status} {reason}\r\n{''.join(fields)}{origin}{named}"
        if len(text) > FRAME_LIMIT - DATA_FRAME:
            raise InvalidResponse(f"{len(text)} bytes of headers: the limit is {FRAME_LIMIT - DATA_FRAME}")
        self.started = True
        return ReplyHead(status, length, text.encode("latin-1"))

    def _finish(self, how: bytes) -> None:
        """No more of the body follows. Raises InvalidResponse: an absurdly large head."""
        if self.started or how == CUT:
            self._send(self._take_head() + self._end(how))
        else:
            answer = pack_answer(self._build_head(), b"")
            self.ended = True
            self._send(answer)

    def _end(self, how: bytes) -> bytes:
        self.ended = True
        return pack(END, how)
