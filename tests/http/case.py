"""One input and what must become of it: the bytes of one connection, from its first to its last."""

from dataclasses import dataclass
from typing import NamedTuple

#: Sent after every refused request, and every last one: must never be run.
CANARY_TARGET = "/canary"
CANARY = b"GET /canary HTTP/1.1\r\nHost: canary\r\n\r\n"
#: What a client sends to see whether a connection, or the server, still serves.
PROBE = b"GET /probe HTTP/1.1\r\nHost: probe\r\n\r\n"
MAX_BODY = 1 << 20


class Request(NamedTuple):
    """What the application must see. `headers`: lower-case name -> its value, list of values, or None for
    a field that must not be there; fields that are not named are not checked.
    """

    method: str = "GET"
    target: str = "/"
    version: str = "HTTP/1.1"
    headers: dict[str, str | list[str] | None] = {}  # noqa: RUF012 - nobody writes to it
    body: bytes = b""


@dataclass(frozen=True)
class Case:
    """`raw` is sent. First `accepted` are answered with 200, in order; then, if `refused`, there is one
    reply with one of these statuses; then the connection ends if `refused`, `incomplete` or `closes`, and
    otherwise serves on.

    `incomplete`: the client closes its sending side in the middle of a request. `closes`: the last accepted
    request is the connection's last. `bare`: the refusal is a status line without fields; None: either.
    `continues`: how many `100 Continue` there are. `tornado`: "same", or why Tornado's server differs.
    """

    id: str
    raw: bytes
    accepted: list[Request] | None
    refused: frozenset[int] | None
    incomplete: bool
    reason: str
    tornado: str = "same"
    closes: bool = False
    bare: bool | None = False
    continues: int = 0

    @property
    def requests(self) -> list[Request]:
        return self.accepted or []


Text = str | bytes


def to_bytes(text: Text) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1")


def head(line: Text = "GET / HTTP/1.1", *fields: Text, host: Text | None = "a") -> bytes:
    """A whole head: the line, `Host` unless it is None, the fields, the empty line."""
    lines = [line, *([] if host is None else [b"Host: " + to_bytes(host)]), *fields, b"", b""]
    return b"\r\n".join(map(to_bytes, lines))


def post(*fields: Text, body: bytes = b"", target: str = "/", version: str = "1.1") -> bytes:
    """A POST with these fields, and `body` after them."""
    return head(f"POST {target} HTTP/{version}", *fields) + body


def chunked(*fields: Text, body: bytes, target: str = "/") -> bytes:
    """A chunked POST; `body` as it stands on the wire."""
    return post("Transfer-Encoding: chunked", *fields, body=body, target=target)


def good(id: str, raw: bytes, reason: str, *requests: Request, **more) -> Case:
    """Bytes that are `requests`, a plain `GET /` unless given."""
    return Case(id, raw, list(requests) or [Request()], None, False, reason, **more)


def bad(id: str, raw: bytes, reason: str, status: int = 400, *, before=(), **more) -> Case:
    """Bytes that are refused, after `before`; a canary follows them."""
    return Case(id, raw + CANARY, list(before) or None, frozenset({status}), False, reason, **more)


def cut(id: str, raw: bytes, reason: str, *before: Request, **more) -> Case:
    """Bytes that end too soon, after `before`."""
    return Case(id, raw, list(before) or None, None, True, reason, **more)
