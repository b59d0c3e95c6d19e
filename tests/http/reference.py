"""The framing of HTTP/1.1 once more, without patterns or optimisation: what a stream of bytes must become.

It knows nothing of the server, and looks at the whole stream at once, so it has no splits to get wrong.
"""

import socket
from typing import NamedTuple

_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_TARGET = frozenset(range(0x21, 0x7F)) - set(b"#")
_VALUE = frozenset([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
_DIGITS = frozenset(b"0123456789")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_HOST = _DIGITS | frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+;=")
_ZONE = _DIGITS | frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~")
_SINGLE = (b"host", b"content-type", b"content-length", b"transfer-encoding")
_LINE, _HEAD, _FIELDS, _FIELD = 8190, 65536, 100, 16384
_EXTENSION, _EXTENSIONS, _TRAILERS, _BODY = 256, 16384, 8192, 1 << 20
_EMPTY_LINES = 2

REFUSED, INCOMPLETE, CLOSED, OPEN = "refused", "incomplete", "closed", "open"


class Seen(NamedTuple):
    """A request."""

    method: str
    target: str
    body: bytes


class Verdict(NamedTuple):
    """`end`: "refused", "incomplete" (more bytes are needed), "closed" (a last request was read), or
    "open" (nothing is left).
    """

    requests: list[Seen]
    end: str


class _Refused(Exception):
    pass


class _Incomplete(Exception):
    pass


class _Head(NamedTuple):
    method: bytes
    target: bytes
    old: bool
    fields: dict[bytes, list[bytes]]


def read_stream(data: bytes) -> Verdict:
    """All requests in `data`, and how it ends."""
    requests: list[Seen] = []
    at = 0
    try:
        while at < len(data):
            head, at = _read_head(data, _skip_empty_lines(data, at))
            body, at = _read_body(head, data, at)
            requests.append(Seen(head.method.decode(), head.target.decode(), body))
            if _is_last(head):
                return Verdict(requests, CLOSED)
    except _Refused:
        return Verdict(requests, REFUSED)
    except _Incomplete:
        return Verdict(requests, INCOMPLETE)
    return Verdict(requests, OPEN)


def _require(condition: object) -> None:
    if not condition:
        raise _Refused


def _only(data: bytes, allowed: frozenset[int]) -> bool:
    return all(byte in allowed for byte in data)


def _skip_empty_lines(data: bytes, at: int) -> int:
    for _ in range(_EMPTY_LINES):
        if data.startswith(b"\r\n", at):
            at += 2
    if data[at:] in (b"", b"\r"):
        raise _Incomplete
    _require(data[at] in _TOKEN)
    return at


def _read_head(data: bytes, at: int) -> tuple[_Head, int]:
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        _judge_beginning(data[at:])
        raise _Incomplete
    line, *lines = data[at:end].split(b"\r\n")
    _require(len(line) <= _LINE and end - at <= _HEAD)
    method, target, old = _read_line(line)
    fields = _read_fields(lines)
    head = _Head(method, target, old, fields)
    _judge_target(head)
    _judge_host(head)
    return head, end + 4


def _judge_beginning(part: bytes) -> None:
    """Judge what is already certain of a head that is not whole."""
    bare = part.replace(b"\r\n", b"")
    _require(b"\n" not in bare)
    _require(b"\r\n" in part or len(part) <= _LINE + 1)
    _require(len(part) <= _HEAD + 4)


def _read_line(line: bytes) -> tuple[bytes, bytes, bool]:
    parts = line.split(b" ")
    _require(len(parts) == 3)
    method, target, version = parts
    _require(method and _only(method, _TOKEN) and target and _only(target, _TARGET))
    _require(len(version) == 8 and version.startswith(b"HTTP/1.") and version[7:].isdigit())
    _require(method != b"CONNECT")
    return method, target, version == b"HTTP/1.0"


def _read_fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    _require(len(lines) <= _FIELDS)
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        _require(colon and name and _only(name, _TOKEN) and _only(value, _VALUE))
        value = value.strip(b" \t")
        _require(len(name) + len(value) <= _FIELD)
        fields.setdefault(name.lower(), []).append(value)
    return fields


def _judge_target(head: _Head) -> None:
    target = head.target
    if target.startswith(b"/") or (target == b"*" and head.method == b"OPTIONS"):
        return
    scheme, separator, rest = target.partition(b"://")
    _require(separator and scheme.lower() in (b"http", b"https"))
    authority = rest.split(b"/")[0].split(b"?")[0]
    user, at, host = authority.partition(b"@")
    host = host if at else user
    _require(host and not host.startswith(b":"))
    _judge_authority(host)


def _judge_host(head: _Head) -> None:
    for name in _SINGLE:
        _require(len(head.fields.get(name, [])) <= 1)
    _require(head.old or b"host" in head.fields)
    for host in head.fields.get(b"host", []):
        _judge_authority(host)


def _judge_authority(host: bytes) -> None:
    if host.startswith(b"["):
        literal, bracket, port = host[1:].partition(b"]")
        address, percent, zone = literal.partition(b"%")
        if address.startswith(b"v"):
            version, dot, rest = literal[1:].partition(b".")
            _require(version and _only(version, _HEX) and dot and rest and _only(rest, _HOST | {0x3A}))
        else:
            _require(_is_ipv6(address))
            _require(not percent or (zone and _only(zone, _ZONE)))
        _require(bracket)
        _require(port == b"" or port.startswith(b":"))
        port = port[1:]
    else:
        name, _, port = host.partition(b":")
        _judge_name(name)
    _require(_only(port, _DIGITS))


def _is_ipv6(address: bytes) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, address.decode("ascii"))
    except (OSError, ValueError):
        return False
    return True


def _judge_name(name: bytes) -> None:
    at = 0
    while at < len(name):
        if name[at] == 0x25:
            _require(len(name[at + 1 : at + 3]) == 2 and _only(name[at + 1 : at + 3], _HEX))
            at += 2
        else:
            _require(name[at] in _HOST)
        at += 1


def _is_last(head: _Head) -> bool:
    options = [
        option.strip(b" \t").lower() for option in b",".join(head.fields.get(b"connection", [])).split(b",")
    ]
    return b"close" in options or (head.old and b"keep-alive" not in options)


def _read_body(head: _Head, data: bytes, at: int) -> tuple[bytes, int]:
    codings = head.fields.get(b"transfer-encoding", [])
    lengths = head.fields.get(b"content-length", [])
    if codings:
        _require(not lengths and not head.old and codings[0].lower() == b"chunked")
        return _read_chunks(data, at)
    if not lengths:
        return b"", at
    _require(lengths[0] and _only(lengths[0], _DIGITS) and len(lengths[0]) <= 64)
    length = int(lengths[0])
    _require(length <= _BODY)
    return _take(data, at, length), at + length


def _take(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise _Incomplete
    return data[at : at + size]


def _read_chunks(data: bytes, at: int) -> tuple[bytes, int]:
    body = bytearray()
    extensions = 0
    while True:
        size, extension, at = _read_size(data, at)
        # An extension that is small beside its data costs nothing.
        extensions = max(0, extensions + extension - 16 - 2 * size)
        _require(extensions <= _EXTENSIONS)
        if size == 0:
            return bytes(body), _read_trailers(data, at)
        # Refused as soon as so much of it has come.
        _require(len(body) + min(size, len(data) - at) <= _BODY)
        body += _take(data, at, size)
        at += size
        _require(data[at : at + 2] in (b"", b"\r", b"\r\n"))
        at += len(_take(data, at, 2))


def _read_size(data: bytes, at: int) -> tuple[int, int, int]:
    """(size, bytes of extension, where the line ends)."""
    start = at
    while at < len(data) and data[at] in _HEX:
        at += 1
    digits = data[start:at]
    _require(len(digits) <= 16 and (digits or at == len(data)))
    start = at
    while at < len(data) and data[at] in b" \t":
        at += 1
    blanks = at - start
    if data[at : at + 1] == b";":
        at += 1
        while at < len(data) and data[at] in _VALUE:
            at += 1
    else:
        _require(not blanks or at == len(data))
    _require(blanks <= _EXTENSION and at - start - blanks <= _EXTENSION + 1)
    _require(data[at : at + 2] in (b"", b"\r", b"\r\n"))
    return int(_take(data, at, 2) and digits, 16), at - start, at + 2


def _read_trailers(data: bytes, at: int) -> int:
    if data.startswith(b"\r\n", at):
        return at + 2
    end = data.find(b"\r\n\r\n", at)
    if end < 0:
        _require(len(data) - at <= _TRAILERS)
        raise _Incomplete
    _require(end + 4 - at <= _TRAILERS + 2)
    _read_fields(data[at:end].split(b"\r\n"))
    return end + 4
