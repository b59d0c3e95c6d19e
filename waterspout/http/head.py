"""A request's head: from the bytes before the empty line to a value, or to a refusal. Pure.

RFC 9112 sections 2 to 5 and 3.2, RFC 9110 sections 5 and 7.2, strictly interpreted: what two servers could
understand in two ways is refused (request smuggling), so nothing here repairs a request.

Every pattern is linear: no two of its repetitions can match the same character.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple

from waterspout import limits
from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.message.forwarded import has_claims, is_ipv6
from waterspout.message.framing import TOKEN, body_length

#: Visible ASCII; a fragment (`#`) is never sent (RFC 9112 section 3.2).
_TARGET: Final = r"[!\"$-~]+"
#: A request line whose target is printable, but perhaps not escaped as it must be.
_UNESCAPED_LINE: Final = re.compile(rf"{TOKEN} [!-~\x80-\xff]+ HTTP/[0-9]\.[0-9]")
#: A line from somebody who means HTTP.
_ALMOST_A_LINE: Final = re.compile(rf"{TOKEN} .*HTTP", re.IGNORECASE | re.DOTALL)
_REQUEST_LINE: Final = re.compile(rf"({TOKEN}) ({_TARGET}) HTTP/([0-9]\.[0-9])\r\n")
#: HTAB, SP, visible ASCII and obs-text; no control character, and no line folding.
_FIELDS: Final = re.compile(rf"(?:{TOKEN}:[\t\x20-\x7e\x80-\xff]*\r\n)*")
_FIELD: Final = re.compile(r"([^:]+):[ \t]*([^\r]*)\r\n")
#: Allows the zone of an address (RFC 6874), which no client should send, but Python's urllib does.
_HOST: Final = re.compile(
    r"(?:(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})*"
    r"|\[([0-9A-Fa-f:.]+(?:%[0-9A-Za-z\-._~]+)?)\]"
    r"|\[v[0-9A-Fa-f]+\.[0-9A-Za-z\-._~!$&'()*+;=:]+\])(?::[0-9]*)?"
)
_ABSOLUTE: Final = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)")
#: Fields that may occur only once in a head: two servers could go by different ones.
_SINGLE: Final = ("host", "content-length", "transfer-encoding", "content-type")

#: The bytes that a request line may begin with.
TOKEN_BYTES: Final = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

Fields = list[tuple[str, str]]


class HeadLimits(NamedTuple):
    """How large a head may be. Sizes in bytes; `fields` is a number of lines."""

    request_line: int = limits.REQUEST_LINE
    head: int = limits.HEAD_SIZE
    fields: int = limits.HEADER_FIELDS
    field: int = limits.FIELD_SIZE


class Head:
    """The head of one request.

    Attributes: `target`, as received; `version`, "HTTP/1.0" or "HTTP/1.1"; `fields`, (name, value) in order,
    as received; `names`, lower-case name -> value of its last line; `body_length` in bytes, or `CHUNKED`;
    `keep_alive`, whether the client wants to keep this connection; `expects_continue`, whether it holds its
    body back until 100 Continue (RFC 9110 section 10.1.1); `claims`, whether some field makes a claim about a
    client behind the sender. Two heads may share their `fields` and `names`, which are never changed.
    """

    __slots__ = (
        "body_length",
        "claims",
        "expects_continue",
        "fields",
        "keep_alive",
        "method",
        "names",
        "target",
        "version",
    )

    method: str
    target: str
    version: str
    fields: Fields
    names: dict[str, str]
    body_length: int
    claims: bool
    keep_alive: bool
    expects_continue: bool


def parse_head(text: str, bounds: HeadLimits = HeadLimits()) -> Head:  # noqa: B008 - an immutable value
    """`text`: the request line and the header lines, latin-1, with the last one's CRLF, not the empty line.

    Raises RequestRefused (400, 405, 414, 431, 505).
    """
    match = _REQUEST_LINE.match(text)
    if match is None:
        raise _explain_request_line(text, bounds)
    head = Head()
    head.method, head.target, version = match.groups()
    start = match.end()
    if start - 2 > bounds.request_line:
        raise RequestRefused(414, f"a request line of {start - 2} bytes")
    if version[0] != "1":
        raise RequestRefused(505, f"HTTP/{version}")
    modern = version != "1.0"  # a later minor version counts as 1.1 (RFC 9110 section 2.5)
    head.version = "HTTP/1.1" if modern else "HTTP/1.0"
    head.fields = _parse_fields(text, start, bounds)
    head.names = names = {name.lower(): value for name, value in head.fields}
    head.claims = has_claims(names)
    if len(names) != len(head.fields):
        _check_repeated(head)
    _check_target(head)
    _check_host(head)
    head.body_length = (
        body_length(head.version, _listed(names, "content-length"), _listed(names, "transfer-encoding"))
        if "content-length" in names or "transfer-encoding" in names
        else 0
    )
    connection = names.get("connection")
    if connection is None:
        head.keep_alive = modern
    else:
        options = [option.strip(" \t") for option in connection.lower().split(",")]
        head.keep_alive = "close" not in options and (modern or "keep-alive" in options)
    head.expects_continue = (
        "expect" in names and names["expect"].lower() == "100-continue" and modern and head.body_length != 0
    )
    return head


def repeat_head(line: str, last: Head, bounds: HeadLimits) -> Head | None:
    """Return the head with the request line `line`, without its CRLF, and exactly the fields of `last`.

    None: the two must be validated together, by `parse_head`. Only what is never changed is shared.
    """
    match = _REQUEST_LINE.fullmatch(line + "\r\n")
    if match is None or len(line) > bounds.request_line:
        return None
    method, target, version = match.groups()
    # A target of another form contains a host, too; and versions differ in what fields mean.
    if target[0] != "/" or last.target[0] != "/" or method == "CONNECT" or last.version[5:] != version:
        return None
    head = Head()
    head.method, head.target, head.version = method, target, last.version
    head.fields, head.names = last.fields, last.names
    head.body_length, head.keep_alive = last.body_length, last.keep_alive
    head.expects_continue, head.claims = last.expects_continue, last.claims
    return head


def amend_head(head: Head, target: str, removed: Collection[str], host: str | None) -> Head:
    """Return a copy of `head` with another `target`, without the fields whose names, in lower case, are in
    `removed`, and with another `host` unless that is None.
    """
    other = Head()
    other.method, other.target, other.version = head.method, target, head.version
    other.body_length, other.keep_alive = head.body_length, head.keep_alive
    other.expects_continue, other.claims = head.expects_continue, False
    other.fields = [field for field in head.fields if field[0].lower() not in removed]
    if host is not None:
        other.fields = [field for field in other.fields if field[0].lower() != "host"]
        other.fields.append(("Host", host))
    other.names = {name: value for name, value in head.names.items() if name not in removed}
    if host is not None:
        other.names["host"] = host
    return other


def parse_trailers(text: str, bounds: HeadLimits) -> None:
    """Validate the lines after a chunked body. Their content is dropped (RFC 9110 section 6.5.1).

    Raises RequestRefused (400, 431).
    """
    _parse_fields(text, 0, bounds)


def _parse_fields(text: str, start: int, bounds: HeadLimits) -> Fields:
    if start == len(text):
        return []
    if _FIELDS.fullmatch(text, start) is None:
        raise RequestRefused(400, "no colon in header line, or an invalid character")
    fields = _FIELD.findall(text, start)
    if len(fields) > bounds.fields:
        raise RequestRefused(431, f"{len(fields)} header fields")
    # Two searches over the whole head cost less than a strip for each value; trailing blanks are rare.
    if " \r\n" in text or "\t\r\n" in text:
        fields = [(name, value.rstrip(" \t")) for name, value in fields]
    if len(text) - start > bounds.field:
        longest = max(len(name) + len(value) for name, value in fields)
        if longest > bounds.field:
            raise RequestRefused(431, f"a header field of {longest} bytes")
    return fields


def _listed(names: dict[str, str], name: str) -> list[str]:
    return [names[name]] if name in names else []


def _check_repeated(head: Head) -> None:
    """Some name occurs more than once. Raises RequestRefused (400) where it must not; for Connection, a list,
    `names` gets all its lines.
    """
    seen: dict[str, list[str]] = {}
    for name, value in head.fields:
        seen.setdefault(name.lower(), []).append(value)
    for name in _SINGLE:
        if len(seen.get(name, ())) > 1:
            raise RequestRefused(400, f"more than one {name} field")
    if len(seen.get("connection", ())) > 1:
        head.names["connection"] = ",".join(seen["connection"])


def _check_target(head: Head) -> None:
    """RFC 9112 section 3.2: origin-form, absolute-form, or `*` with OPTIONS. Raises RequestRefused."""
    target = head.target
    if head.method == "CONNECT":
        raise RequestRefused(405, "CONNECT: this is not a proxy")
    if target[0] == "/" or (target == "*" and head.method == "OPTIONS"):
        return
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise RequestRefused(400, "a target that is neither a path nor a URL")
    authority = absolute[1].rpartition("@")[2]  # RFC 9110 section 4.2.4: userinfo is never passed on
    if absolute[1].count("@") > 1 or authority[:1] in ("", ":") or not _is_host(authority):
        raise RequestRefused(400, "a malformed authority in the target")
    if "host" in head.names:
        _check_host(head)
        # RFC 9112 section 3.2.2: what the client's Host says is ignored.
        head.fields = [(name, authority if name.lower() == "host" else value) for name, value in head.fields]
        head.names["host"] = authority


def _check_host(head: Head) -> None:
    """RFC 9112 section 3.2: one valid Host, required in HTTP/1.1. Raises RequestRefused (400)."""
    host = head.names.get("host")
    if host is None:
        if head.version == "HTTP/1.1":
            raise RequestRefused(400, "Missing Host header")
    elif not _is_host(host):
        raise RequestRefused(400, "Invalid Host header")


def _is_host(text: str) -> bool:
    """RFC 3986 section 3.2.2, and the zone of RFC 6874. Brackets must contain an address: otherwise Python's
    own `urlsplit` raises in every view that asks for its URL.
    """
    match = _HOST.fullmatch(text)
    return match is not None and (match[1] is None or is_ipv6(match[1]))


def _explain_request_line(text: str, bounds: HeadLimits) -> RequestRefused:
    line, _, _ = text.partition("\r\n")
    if len(line) > bounds.request_line:
        return RequestRefused(414, f"a request line of {len(line)} bytes")
    if _UNESCAPED_LINE.fullmatch(line):
        return RequestRefused(400, "a target with characters that have to be percent-encoded")
    if _ALMOST_A_LINE.match(line):
        return RequestRefused(400, "Malformed HTTP request line")
    return NotHTTP("the PROXY protocol" if line.startswith("PROXY ") else "")
