"""How a request's body is delimited, checked before any app runs, whatever server is in front; which replies
have a body; and what a token is. Pure.

RFC 9112 section 6.3. Two parties that disagree on where a request ends can be played against each other
(request smuggling), so whatever is not plainly right is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from waterspout.exceptions import RequestRefused
from waterspout.limits import CONTENT_LENGTH_DIGITS

_DIGITS: Final = re.compile(rf"[0-9]{{1,{CONTENT_LENGTH_DIGITS}}}")

#: One character of a token, and a token (RFC 9110 section 5.6.2): methods, field names, and so on.
TOKEN_CHARACTER: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN: Final = TOKEN_CHARACTER + "+"
#: `body_length` of a body whose end is known only when it arrives.
CHUNKED: Final = -1


def body_length(
    version: str, lengths: Sequence[str], codings: Sequence[str], *, unpacked: bool = False
) -> int:
    """The length of the body in bytes; 0 if there is none, `CHUNKED` if its end is not known beforehand.

    `lengths` and `codings`: the values of the Content-Length and Transfer-Encoding lines. `unpacked`: the
    server decompresses the body on the way, so the given length is not that of the body.

    Raises RequestRefused (400): conflicting, repeated or malformed Content-Length or
    Transfer-Encoding.
    """
    if codings:
        return _chunked(version, codings, lengths)
    if not lengths:
        return 0
    if len(lengths) > 1 or "," in lengths[0]:
        raise RequestRefused(400, "Multiple unequal Content-Lengths, or a list of equal ones")
    if not _DIGITS.fullmatch(lengths[0]):
        raise RequestRefused(400, "Only integer Content-Length is allowed")
    return CHUNKED if unpacked else int(lengths[0])


def has_body(method: str, status: int) -> bool:
    """Whether a reply may carry a body at all (RFC 9110 section 6.4.1)."""
    return method != "HEAD" and status >= 200 and status not in (204, 304)


def _chunked(version: str, codings: Sequence[str], lengths: Sequence[str]) -> int:
    if lengths:
        raise RequestRefused(400, "Message with both Transfer-Encoding and Content-Length")
    if version != "HTTP/1.1":
        raise RequestRefused(400, f"Transfer-Encoding in {version}")
    if len(codings) > 1 or codings[0].lower() != "chunked":
        # RFC 9112 section 6.1 asks for 501; Tornado answers 400, and so both servers answer the same.
        raise RequestRefused(400, "Unsupported Transfer-Encoding")
    return CHUNKED
