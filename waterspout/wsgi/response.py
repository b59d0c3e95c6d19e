"""start_response, and every check on what the app says. Pure: chunks in, frames out, no I/O.

Rules: PEP 3333 decides what the app may do; RFC 9110 and 9112 decide what may reach the client. A value
that fails a check is named in the log and never echoed to the client.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import lru_cache
from types import TracebackType
from typing import Final

from waterspout.exceptions import InvalidResponse
from waterspout.limits import DATA_FRAME, FRAME_LIMIT
from waterspout.origin import SERVER, http_date
from waterspout.wsgi.frames import CUT, DATA, END, REPLY, WHOLE, Headers, ReplyHead, pack, serialize_reply

ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

logger = logging.getLogger("waterspout.wsgi")

#: They speak of one connection, which is the server's (RFC 9110 section 7.6.1, PEP 3333 "Other HTTP
#: Features"); `wsgiref.util.is_hop_by_hop` lists the same, less `proxy-connection`.
HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    }
)

_STATUS: Final = re.compile(r"([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ILLEGAL_IN_VALUE: Final = re.compile(r"[\r\n\x00]")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")

#: Hop-by-hop names that this process has complained about: once each is enough.
_complained: set[str] = set()


def parse_status(status: object) -> tuple[int, str]:
    """`"200 OK"` as (200, "OK"). The reason phrase is optional (RFC 9112 section 4).

    Raises InvalidResponse.
    """
    if not isinstance(status, str):
        raise InvalidResponse(f"status must be three digits and a reason, not {status!r}")
    return _parse_status(status)


@lru_cache(maxsize=256)
def _parse_status(status: str) -> tuple[int, str]:
    """Cached: an app has few, and says them in every reply."""
    match = _STATUS.fullmatch(status)
    if match is None:
        raise InvalidResponse(f"status must be three digits and a reason, not {status!r}")
    reason = match[2] or ""
    if not _is_latin1(reason):
        raise InvalidResponse(f"the reason phrase is not latin-1: {status!r}")
    return int(match[1]), reason


def check_header(name: object, value: object) -> None:
    """Raises InvalidResponse unless `name: value` may stand in a reply."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidResponse(f"header names and values must be str, not {name!r}: {value!r}")
    _lower_name(name)
    if value.isascii() and value.isprintable():
        return
    if _ILLEGAL_IN_VALUE.search(value) or not _is_latin1(value):
        raise InvalidResponse(f"not a header value: {name}: {value!r}")


def _lower_name(name: str) -> str:
    """A header's name in lower case. Raises InvalidResponse: it is none."""
    return _lower_known(name) if len(name) <= 64 else _lower_token(name)


def _lower_token(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise InvalidResponse(f"not a header name: {name!r}")
    return name.lower()


#: An app has few names, and says them in every reply.
_lower_known: Final = lru_cache(maxsize=1024)(_lower_token)


def _is_latin1(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


def check_headers(headers: object) -> Headers:
    """The app's headers without the hop-by-hop ones. Raises InvalidResponse."""
    if not isinstance(headers, list):
        raise InvalidResponse(f"headers must be a list, not {type(headers).__name__}")
    kept: Headers = []
    for field in headers:
        try:
            name, value = field
        except (TypeError, ValueError):
            raise InvalidResponse(f"a header must be a (name, value) tuple, not {field!r}") from None
        check_header(name, value)
        if _lower_name(name) in HOP_BY_HOP:
            _complain(name)
        else:
            kept.append((name, value.strip(" \t")))
    return kept


def _complain(name: str) -> None:
    if name.lower() not in _complained:
        _complained.add(name.lower())
        logger.warning("the app sends %s, which is the server's to decide: dropped (said once)", ascii(name))


def find_length(headers: Headers) -> int | None:
    """The reply's Content-Length. Raises InvalidResponse if there are two, or it is no number."""
    values = [value for name, value in headers if len(name) == 14 and name.lower() == "content-length"]
    if not values:
        return None
    if len(values) > 1 or not _DIGITS.fullmatch(values[0]):
        raise InvalidResponse(f"not a Content-Length: {values!r}")
    return int(values[0])


def has_body(method: str, status: int) -> bool:
    """Whether a reply may carry a body at all (RFC 9110 section 6.4.1)."""
    return method != "HEAD" and status >= 200 and status not in (204, 304)


class Response:
    """One reply, from `start_response` to its last byte.

    Frames go to `send` as soon as they are known. Nothing goes before the first non-empty chunk, so
    `start_response` may be called again with `exc_info` until then (PEP 3333, "The start_response()
    Callable").

    Attributes: `started`, the head is out; `ended`, END is out: whatever the app still yields is dropped.
    """

    def __init__(self, method: str, request_id: str, send: Callable[[bytes], None]) -> None:
        self._method = method
        self._request_id = request_id
        self._send = send
        self._status: tuple[int, str] | None = None
        self._headers: Headers = []
        self._length: int | None = None
        self._sent = 0
        self._bodiless = False
        self.started = False
        self.ended = False

    # -- what the app calls ------------------------------------------------------------------------------

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333's `start_response`; returns its `write`.

        Raises AssertionError when called again without `exc_info`; the exception in `exc_info` when the
        head is already out; InvalidResponse for a status or header that can't be.
        """
        if exc_info:
            try:
                if self.started and exc_info[1] is not None:
                    raise exc_info[1].with_traceback(exc_info[2])
                if self.started:
                    raise AssertionError("start_response() called again after the head, without an exception")
            finally:
                exc_info = None  # PEP 3333: break the circle traceback -> frame -> exc_info
        elif self._status is not None:
            raise AssertionError("start_response() called a second time without exc_info")
        parsed, checked = parse_status(status), check_headers(headers)
        length = find_length(checked)  # the last that can raise: a refused call leaves all as it was
        self._status, self._headers, self._length = parsed, checked, length
        self._bodiless = not has_body(self._method, parsed[0])
        return self.write

    # -- what the lane worker calls ----------------------------------------------------------------------

    @property
    def bodiless(self) -> bool:
        """The head is known and no body may follow: the iterable need not be run."""
        return self._status is not None and self._bodiless

    def write(self, chunk: bytes, *, only: bool = False) -> None:
        """One chunk of the body; `only`: nothing follows it, so its length is the body's.

        Raises InvalidResponse: not bytes, or no `start_response` yet.
        """
        if not isinstance(chunk, bytes):
            raise InvalidResponse(f"the body must be bytes, not {type(chunk).__name__}")
        if self._status is None:
            raise InvalidResponse("the app sends a body before start_response()")
        if not chunk or self.ended:
            return
        if only and self._length is None and not self._bodiless and not self.started:
            self._set_length(len(chunk))
        if not self._bodiless:
            chunk = self._cut_to_length(chunk)
        if self._bodiless or not chunk:
            self._send(self._head() + self._end(WHOLE))
        else:
            self._write_data(chunk)

    def end(self) -> None:
        """The end of the iterable. Raises InvalidResponse if the app never started."""
        if self.ended:
            return
        if self._status is None:
            raise InvalidResponse("the app never called start_response()")
        if not self.started and self._length is None and not self._bodiless:
            self._set_length(0)
        whole = self._bodiless or self._length is None or self._sent == self._length
        if not whole:
            logger.error(
                "request %s: the body ended after %d of %d bytes: the connection is cut",
                self._request_id,
                self._sent,
                self._length,
            )
        self._send(self._head() + self._end(WHOLE if whole else CUT))

    def fail(self) -> None:
        """The app raised: 500 if nothing is out yet, else the connection is cut."""
        if self.ended:
            return
        if self.started:
            self._send(self._end(CUT))
            return
        body = b"500 Internal Server Error\n"
        self._status = (500, "Internal Server Error")
        self._headers = [("Content-Type", "text/plain; charset=utf-8")]
        self._set_length(len(body))
        shown = pack(DATA, body) if has_body(self._method, 500) else b""
        self._send(self._head() + shown + self._end(WHOLE))

    # -- framing -----------------------------------------------------------------------------------------

    def _write_data(self, chunk: bytes) -> None:
        """One send for all of a small reply; a large chunk goes in pieces, so that CANCEL is seen between."""
        frames = self._head()
        for start in range(0, len(chunk), DATA_FRAME):
            piece = chunk[start : start + DATA_FRAME] if len(chunk) > DATA_FRAME else chunk
            self._sent += len(piece)
            frames += pack(DATA, piece)
            if self._sent == self._length:
                # Whole by its own word: the client need not wait for what the iterable does after it.
                frames += self._end(WHOLE)
            self._send(frames)
            frames = b""

    def _cut_to_length(self, chunk: bytes) -> bytes:
        if self._length is None or len(chunk) <= self._length - self._sent:
            return chunk
        logger.warning(
            "request %s: the body is longer than its Content-Length of %d: the rest is cut off",
            self._request_id,
            self._length,
        )
        return chunk[: self._length - self._sent]

    def _set_length(self, length: int) -> None:
        self._length = length
        self._headers.append(("Content-Length", str(length)))

    def _head(self) -> bytes:
        """The REPLY frame, or nothing when it is out. Raises InvalidResponse: absurdly large."""
        if self.started:
            return b""
        assert self._status is not None
        status, reason = self._status
        headers = self._headers
        if status == 204 or status < 200:
            # RFC 9110 section 8.6: no Content-Length in 1xx and 204.
            headers = [field for field in headers if field[0].lower() != "content-length"]
        present = {_lower_name(name) for name, _ in headers}
        own = (("Date", http_date()), ("Server", SERVER), ("X-Request-Id", self._request_id))
        headers = headers + [field for field in own if field[0].lower() not in present]
        payload = serialize_reply(ReplyHead(status, reason, headers))
        if len(payload) > FRAME_LIMIT:
            raise InvalidResponse(f"{len(payload)} bytes of headers: the limit is {FRAME_LIMIT}")
        self.started = True
        return pack(REPLY, payload)

    def _end(self, how: bytes) -> bytes:
        self.ended = True
        return pack(END, how)
