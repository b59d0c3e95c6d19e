"""Checks what an app may send in the head of its reply: status and headers. Leaf.

PEP 3333 decides what the app may do; RFC 9110 and 9112 decide what may reach the client. A value that fails a
check is named in the log and never echoed to the client.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Final, NamedTuple

from waterspout.exceptions import InvalidResponse
from waterspout.message.framing import TOKEN

logger = logging.getLogger("waterspout.wsgi")

#: They are about one connection, which is the server's (RFC 9110 section 7.6.1, PEP 3333 "Other HTTP
#: Features"); `wsgiref.util.is_hop_by_hop` lists the same, except `proxy-connection`.
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

#: Fields with which an app leaves the body to a proxy, which sends a file in its place.
FILE_OF_PROXY: Final = frozenset({"x-accel-redirect", "x-lighttpd-send-file", "x-sendfile"})

_STATUS: Final = re.compile(r"([1-9][0-9]{2})(?: ([^\x00-\x08\x0a-\x1f\x7f]*))?")
_TOKEN: Final = re.compile(TOKEN)
#: Control characters, except the tab (PEP 3333; RFC 9110 section 5.5).
_ILLEGAL_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_DIGITS: Final = re.compile(r"[0-9]{1,18}")

#: Names that this process has logged: once each is enough.
_spoken_of: set[str] = set()


def parse_status(status: object) -> tuple[int, str]:
    """`"200 OK"` as (200, "OK"). The reason phrase is optional (RFC 9112 section 4).

    Raises InvalidResponse.
    """
    if not isinstance(status, str):
        raise InvalidResponse(f"status must be a number from 100 to 999 and a reason, not {status!r}")
    return _parse_status(status)


@lru_cache(maxsize=256)
def _parse_status(status: str) -> tuple[int, str]:
    """Cached: an app has few, and repeats them in every reply."""
    match = _STATUS.fullmatch(status)
    if match is None:
        raise InvalidResponse(f"status must be a number from 100 to 999 and a reason, not {status!r}")
    reason = match[2] or ""
    if not _is_latin1(reason):
        raise InvalidResponse(f"the reason phrase is not latin-1: {status!r}")
    return int(match[1]), reason


#: The kinds of header names. PLAIN ones mean nothing to the server.
PLAIN, LENGTH, DATE, SERVER_NAME, REQUEST_ID, DROPPED = 0, 1, 2, 4, 8, 16
_OURS: Final = {
    "content-length": LENGTH,
    "date": DATE,
    "server": SERVER_NAME,
    "x-request-id": REQUEST_ID,
    **dict.fromkeys(HOP_BY_HOP, DROPPED),
}


def _classify(name: str) -> int:
    """One of the above. Raises InvalidResponse: not a header name."""
    if not _TOKEN.fullmatch(name):
        raise InvalidResponse(f"not a header name: {name!r}")
    return _OURS.get(name.lower(), PLAIN)


#: An app has few names, and repeats them in every reply.
_classify_known: Final = lru_cache(maxsize=1024)(_classify)


def check_header(name: object, value: object) -> int:
    """Its kind: PLAIN, LENGTH or another of the above. Raises InvalidResponse: not allowed in any reply."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise InvalidResponse(f"header names and values must be str, not {name!r}: {value!r}")
    kind = _classify_known(name) if len(name) <= 64 else _classify(name)
    # Control characters, CR and LF among them, are not printable.
    if not (value.isascii() and value.isprintable()) and (
        _ILLEGAL_IN_VALUE.search(value) or not _is_latin1(value)
    ):
        raise InvalidResponse(f"not a header value: {name}: {value!r}")
    return kind


def _is_latin1(text: str) -> bool:
    try:
        text.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return True


class CheckedHeaders(NamedTuple):
    """The app's headers, checked: `fields` as they go to the client, each with its CRLF; `kinds`, the kinds
    of all their names, or-ed; `length`, the value of Content-Length or -1.
    """

    fields: list[str]
    kinds: int
    length: int


def leave_body(headers: CheckedHeaders) -> CheckedHeaders:
    """The headers, without Content-Length if the app leaves the body to a proxy, which sets the length."""
    names = [field.partition(":")[0].lower() for field in headers.fields]
    asked = FILE_OF_PROXY.intersection(names)
    if not asked:
        return headers
    name = min(asked)
    if name not in _spoken_of:
        _spoken_of.add(name)
        logger.info(
            "the app leaves bodies to a proxy, by %s: a proxy that ignores it sends empty ones (logged once)",
            name,
        )
    kept = zip(names, headers.fields, strict=True)
    fields = [field for name, field in kept if name != "content-length"]
    return CheckedHeaders(fields, headers.kinds & ~LENGTH, -1)


def _format_field(name: str, value: str) -> tuple[int, str]:
    """The kind from `check_header`, and the line that goes to the client."""
    kind = check_header(name, value)
    # Not by formatting: a subclass of str (an Enum) may format itself as text that has not been checked.
    return kind, "".join((name, ": ", str.strip(value, " \t"), "\r\n"))


#: An app sends much the same in every reply: looking a field up costs a tenth of checking it.
_format_known_field: Final = lru_cache(maxsize=512)(_format_field)
#: Longer fields (cookies) hardly ever repeat (characters).
_SHORT: Final = 100


def _explain_field(field: object) -> InvalidResponse:
    if not isinstance(field, (tuple, list)) or len(field) != 2:
        return InvalidResponse(f"a header must be a (name, value) tuple, not {field!r}")
    return InvalidResponse(f"header names and values must be str, not {field[0]!r}: {field[1]!r}")


def check_headers(headers: object) -> CheckedHeaders:
    """Without the hop-by-hop ones. Raises InvalidResponse: an invalid header, or a second Content-Length."""
    if not isinstance(headers, list):
        raise InvalidResponse(f"headers must be a list, not {type(headers).__name__}")
    fields: list[str] = []
    kinds, length = 0, -1
    for field in headers:
        try:
            name, value = field
            is_short = len(name) + len(value) <= _SHORT
        except (TypeError, ValueError):
            raise _explain_field(field) from None
        kind, line = _format_known_field(name, value) if is_short else _format_field(name, value)
        if kind:
            if kind == DROPPED:
                _complain(name)
                continue
            if kind == LENGTH:
                length = _parse_length(value.strip(" \t"), length)
            kinds |= kind
        fields.append(line)
    return CheckedHeaders(fields, kinds, length)


def _parse_length(value: str, before: int) -> int:
    if before >= 0 or not _DIGITS.fullmatch(value):
        raise InvalidResponse(f"not a Content-Length: {value!r}{', a second one' if before >= 0 else ''}")
    return int(value)


def _complain(name: str) -> None:
    if name.lower() not in _spoken_of:
        _spoken_of.add(name.lower())
        logger.warning("the app sends %s, which is up to the server: dropped (logged once)", ascii(name))
