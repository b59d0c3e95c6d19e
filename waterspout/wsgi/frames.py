"""What travels on a lane and on a control channel. Pure: bytes and values, no I/O.

A frame is one byte of kind, four of length (big-endian), and the payload. On a lane, for each request:

    event loop -> lane worker                     lane worker -> event loop
    REQUEST   head (see `RequestHead`)            READ   how many more body bytes may be sent
    BODY      a piece of the body                 REPLY  status line and headers
    BODY_END  nothing: the body is whole          DATA   a piece of the reply's body
    CANCEL    why the reply is not wanted         END    b"\\0" whole, b"\\1" cut the connection
                                                  IDLE   nothing: close() has run, the lane is free

After IDLE the next REQUEST may come. Whatever still arrives between IDLE and REQUEST belongs to the
request before and is skipped, so neither an unread body nor a late CANCEL reaches the next one.

On a control channel payloads are JSON objects, except PUBLISH (topic, newline, message):

    event loop -> WSGI process                    WSGI process -> event loop
    SPEC   what to run                            READY    the app is imported
    LANE   one descriptor rides along             FAILED   it can't be imported, and why
    STOP   finish what runs, then exit            PUBLISH  a message for subscribers
    PING   say that you are alive                 PONG     a thread of it could run
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from waterspout.exceptions import FrameError
from waterspout.limits import FRAME_LIMIT

REQUEST: Final = 1
BODY: Final = 2
BODY_END: Final = 3
CANCEL: Final = 4
READ: Final = 5
REPLY: Final = 6
DATA: Final = 7
END: Final = 8
IDLE: Final = 9

SPEC: Final = 16
LANE: Final = 17
STOP: Final = 18
READY: Final = 19
FAILED: Final = 20
PUBLISH: Final = 21
PING: Final = 22
PONG: Final = 23

_HEADER: Final = struct.Struct("!BI")
_CREDIT: Final = struct.Struct("!I")
#: Kinds whose payload is handed on as it arrives, however large the frame.
_STREAMED: Final = frozenset((BODY, DATA))
_KINDS: Final = frozenset((*range(REQUEST, IDLE + 1), *range(SPEC, PONG + 1)))

WHOLE: Final = b"\0"
CUT: Final = b"\1"

Headers = list[tuple[str, str]]


class RequestHead(NamedTuple):
    """A request without its body. Strings are latin-1, as on the wire.

    `body_length`: -1, the body comes on demand; n >= 0, n bytes follow at once, and they are all of it.
    `content_length`: the field's value, or "" when there is none (a chunked body, or no body).
    `trusted`: the peer is a proxy whose forwarded headers may be believed.
    """

    method: str
    target: str
    version: str
    scheme: str
    remote_addr: str
    remote_port: str
    server_name: str
    server_port: str
    request_id: str
    content_length: str
    trusted: bool
    body_length: int
    headers: Headers


class ReplyHead(NamedTuple):
    """Status and headers of a reply, as they go to the client."""

    status: int
    reason: str
    headers: Headers


def pack(kind: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return _HEADER.pack(kind, len(payload)) + payload


def pack_header(kind: int, length: int) -> bytes:
    """The first five bytes of a frame whose payload of `length` bytes is sent right behind it."""
    return _HEADER.pack(kind, length)


def pack_read(credit: int) -> bytes:
    return pack(READ, _CREDIT.pack(credit))


def parse_read(payload: bytes) -> int:
    (credit,) = _CREDIT.unpack(payload)
    return int(credit)


def serialize_request(head: RequestHead) -> bytes:
    """The head as lines. No field can hold a newline: HTTP's own parser has refused it before."""
    lines = [*head[:10], "1" if head.trusted else "", str(head.body_length)]
    for field in head.headers:
        lines += field
    return "\n".join(lines).encode("latin-1")


def parse_request(payload: bytes) -> RequestHead:
    """The inverse of `serialize_request`."""
    lines = payload.decode("latin-1").split("\n")
    names = iter(lines[12:])
    headers = list(zip(names, names, strict=True))
    return RequestHead._make((*lines[:10], lines[10] == "1", int(lines[11]), headers))


def serialize_reply(head: ReplyHead) -> bytes:
    """The head as lines. `response.py` has refused CR, LF and what latin-1 can't hold."""
    lines = [f"{head.status} {head.reason}"]
    for field in head.headers:
        lines += field
    return "\n".join(lines).encode("latin-1")


def parse_reply(payload: bytes) -> ReplyHead:
    """The inverse of `serialize_reply`."""
    lines = payload.decode("latin-1").split("\n")
    names = iter(lines[1:])
    return ReplyHead(int(lines[0][:3]), lines[0][4:], list(zip(names, names, strict=True)))


class FrameParser:
    """Bytes in, frames out; keeps what is not yet whole.

    BODY and DATA are handed on in as many pieces as they arrive in, so a parser never holds more than one
    control frame (`FRAME_LIMIT`).
    """

    def __init__(self) -> None:
        self._partial = b""
        self._streamed_kind = 0
        self._streamed_left = 0

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) for all that `data` completes.

        Raises FrameError: an unknown kind, or a control frame over `FRAME_LIMIT`.
        """
        if not self._partial and not self._streamed_left and len(data) >= 5:
            kind, length = _HEADER.unpack_from(data)
            if kind == REQUEST and length == len(data) - 5 and length <= FRAME_LIMIT:
                return [(kind, data[5:])]  # what most reads bring: one whole request
        found: list[tuple[int, bytes]] = []
        if self._partial:
            data = self._partial + data
        position, size = 0, len(data)
        while position < size:
            if self._streamed_left:
                piece = data[position : position + self._streamed_left]
                self._streamed_left -= len(piece)
                position += len(piece)
                found.append((self._streamed_kind, piece))
                continue
            start = position + 5
            if start > size:
                break
            kind, length = _HEADER.unpack_from(data, position)
            if kind in _STREAMED:
                self._streamed_kind, self._streamed_left = kind, length
                position = start
                continue
            if length > FRAME_LIMIT or kind not in _KINDS:
                raise FrameError(f"no frame of ours: kind {kind}, {length} bytes")
            end = start + length
            if end > size:
                break
            found.append((kind, data[start:end]))
            position = end
        self._partial = data[position:] if position < size else b""
        return found
