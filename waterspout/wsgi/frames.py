"""What travels on a lane and on a control channel. Pure: bytes and values, no I/O.

A frame is one byte of kind, four of length (big-endian), and the payload. On a lane, for each request:

    event loop -> lane worker                     lane worker -> event loop
    REQUEST   head (see `RequestHead`)            READ   how many more body bytes may be sent
    BODY      a piece of the body                 REPLY  status line and headers
    BODY_END  nothing: the body is whole          DATA   a piece of the reply's body
    CANCEL    why the reply is no longer wanted   END    b"\\0" whole, b"\\1" cut the connection
    EOF       the client sends no more            ANSWER REPLY, DATA and END of a small reply, in one
    NEXT      look into the backlog               IDLE   nothing: close() has run, the lane is free
                                                  REST   of an answer for which the backlog had no room
                                                  TAKEN  what follows is for that request of the backlog
                                                  SLEPT  requests of the backlog have waited for something
                                                  THREAD the worker's thread ID; sent first
                                                  SWITCH what follows as DATA is not HTTP any more: the view
                                                         speaks to the client itself

After IDLE the next REQUEST may come. Whatever still arrives between IDLE and REQUEST belongs to the
previous request and is skipped, so neither an unread body nor a late CANCEL reaches the next one.

Small requests may come through the lane's backlog instead (`waterspout.wsgi.backlog`), each with a token.
CANCEL, EOF and TAKEN begin with the token of the request that they are about; 0 is the one that came by
REQUEST. IDLE means that the backlog was empty, too. If something has been queued there meanwhile, NEXT
follows.

On a control channel SPEC, FAILED and URLS are JSON objects; the others hold, as text, what is listed here:

    event loop -> WSGI process                    WSGI process -> event loop
    SPEC   what to run                            READY    nothing: the app is imported
    LANE   nothing: descriptors come with it,     FAILED   the app can't be imported, and why
           the lane's and, if it has a backlog,   PUBLISH  topic, newline, a message for its subscribers
           the two ends of that                   PONG     nothing: the process is alive, and could run
    STOP   nothing: finish what runs, and exit    PLACE    the thread's number, space, where it is
    PING   nothing: answer PONG                   URLS     names of the app's own rules; before READY
    WHERE  a thread's number: answer PLACE        SCANT    how many lanes have threads, space, why no more
    URLS   names of native rules; before SPEC              (no reason: all have by now)
"""

from __future__ import annotations

import marshal
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
ANSWER: Final = 10
TAKEN: Final = 11
SLEPT: Final = 12
NEXT: Final = 13
EOF: Final = 14
REST: Final = 15

SPEC: Final = 16
LANE: Final = 17
STOP: Final = 18
READY: Final = 19
FAILED: Final = 20
PUBLISH: Final = 21
PING: Final = 22
PONG: Final = 23
URLS: Final = 24

THREAD: Final = 25

WHERE: Final = 26
PLACE: Final = 27
SCANT: Final = 28

SWITCH: Final = 29

_HEADER: Final = struct.Struct("!BI")
_CREDIT: Final = struct.Struct("!I")
_TOKEN: Final = struct.Struct("!I")
_TAKEN: Final = struct.Struct("!Id")
#: Before a reply's head: its status, and its Content-Length or -1.
_REPLY: Final = struct.Struct("!Hq")
#: Before the head in an ANSWER: its length.
_HEAD_SIZE: Final = struct.Struct("!I")
#: Kinds whose payload is passed on as it arrives, however large the frame.
_STREAMED: Final = frozenset((BODY, DATA))
_KINDS: Final = frozenset((*range(REQUEST, REST + 1), *range(SPEC, SWITCH + 1)))

_IDLE: Final = _HEADER.pack(IDLE, 0)

#: `body_length` of a request that has no body, and whose client asks for a WebSocket.
UPGRADE: Final = -2

WHOLE: Final = b"\0"
CUT: Final = b"\1"

Headers = list[tuple[str, str]]


class RequestHead(NamedTuple):
    """A request without its body. Strings are latin-1, as on the wire.

    `body_length`: -1, the body comes on demand; n >= 0, n bytes follow at once, and they are all of it;
    `UPGRADE`, there is none, but the view may take the connection over: then BODY is what the client sends.
    `content_length`: the field's value, or "" when there is none (a chunked body, or no body). `disbelieved`:
    the peer claimed to speak for another client, and was not trusted; its claims are not among the
    `headers`. `root_path`: the part of the target's path that is SCRIPT_NAME. `allow`: the methods that
    native handlers own at this path, like "GET, HEAD"; this request's method is among them only if a handler
    has declined the request. `varies`: which side answers depends on the cookies.
    """

    body_length: int
    disbelieved: bool
    method: str
    target: str
    version: str
    request_id: str
    content_length: str
    scheme: str
    remote_addr: str
    remote_port: str
    server_name: str
    server_port: str
    root_path: str
    allow: str
    varies: bool
    headers: Headers


class ReplyHead(NamedTuple):
    """Status and fields of a reply.

    `wire`: the status line and the fields as they go to the client, each with its CRLF, without the empty
    line after them; none of them is about the connection or the transfer. `length`: the value of
    Content-Length, -1 if there is none.
    """

    status: int
    length: int
    wire: bytes

    @property
    def reason(self) -> str:
        return self._lines[0][13:]

    @property
    def headers(self) -> Headers:
        """(name, value) pairs, in order."""
        return [(name, value) for name, _, value in (line.partition(": ") for line in self._lines[1:])]

    @property
    def _lines(self) -> list[str]:
        return self.wire.decode("latin-1").split("\r\n")[:-1]


def build_reply(status: int, reason: str, headers: Headers) -> ReplyHead:
    """The head of a reply. The caller has refused CR, LF, NUL and what latin-1 can't encode."""
    length = -1
    for name, value in headers:
        if len(name) == 14 and name.lower() == "content-length":
            length = int(value)
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return ReplyHead(status, length, f"HTTP/1.1 {status} {reason}\r\n{lines}".encode("latin-1"))


def pack(kind: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return _HEADER.pack(kind, len(payload)) + payload


def pack_header(kind: int, length: int) -> bytes:
    """The first five bytes of a frame whose payload of `length` bytes is sent right after them."""
    return _HEADER.pack(kind, length)


def pack_read(credit: int) -> bytes:
    return pack(READ, _CREDIT.pack(credit))


def parse_read(payload: bytes) -> int:
    (credit,) = _CREDIT.unpack(payload)
    return int(credit)


def pack_about(kind: int, token: int, text: str = "") -> bytes:
    """CANCEL, EOF or TAKEN: about the request with this token."""
    return pack(kind, _TOKEN.pack(token) + text.encode())


def parse_about(payload: bytes) -> tuple[int, str]:
    """The inverse of `pack_about`: token and text."""
    return _TOKEN.unpack_from(payload)[0], payload[_TOKEN.size :].decode()


def pack_taken(token: int, seconds: float) -> bytes:
    """The request with this token has been running for `seconds`."""
    return pack(TAKEN, _TAKEN.pack(token, seconds))


def parse_taken(payload: bytes) -> tuple[int, float]:
    """The inverse of `pack_taken`."""
    token, seconds = _TAKEN.unpack(payload)
    return token, seconds


def serialize_request(head: RequestHead) -> bytes:
    """With `marshal`: both ends are the same interpreter, and it takes half the time of lines of text."""
    return marshal.dumps(tuple(head))


def parse_request(payload: bytes) -> RequestHead:
    """The inverse of `serialize_request`."""
    return RequestHead._make(marshal.loads(payload))  # written by the event loop; nothing else can write here


def serialize_reply(head: ReplyHead) -> bytes:
    """The payload of a REPLY frame."""
    return _REPLY.pack(head.status, head.length) + head.wire


def parse_reply(payload: bytes) -> ReplyHead:
    """The inverse of `serialize_reply`."""
    status, length = _REPLY.unpack_from(payload)
    return ReplyHead(status, length, payload[_REPLY.size :])


def pack_answer(head: ReplyHead, body: bytes) -> bytes:
    """A whole reply in one frame, which the parser returns as REPLY, DATA and END."""
    size = _REPLY.size + len(head.wire)
    return b"".join(
        (
            _HEADER.pack(ANSWER, _HEAD_SIZE.size + size + len(body)),
            _HEAD_SIZE.pack(size),
            _REPLY.pack(head.status, head.length),
            head.wire,
            body,
        )
    )


def parse_answer(data: bytes, start: int, end: int) -> tuple[ReplyHead, bytes]:
    """The reply in the ANSWER whose payload is `data[start:end]`."""
    (size,) = _HEAD_SIZE.unpack_from(data, start)
    start += _HEAD_SIZE.size
    status, length = _REPLY.unpack_from(data, start)
    body = start + size
    return ReplyHead(status, length, data[start + _REPLY.size : body]), data[body:end]


def _split_answer(payload: bytes) -> list[tuple[int, bytes]]:
    if len(payload) < _HEAD_SIZE.size + _REPLY.size:
        raise FrameError(f"not a Waterspout answer: {len(payload)} bytes")
    (size,) = _HEAD_SIZE.unpack_from(payload)
    end = _HEAD_SIZE.size + size
    frames = [(REPLY, payload[_HEAD_SIZE.size : end]), (DATA, payload[end:]), (END, WHOLE)]
    return frames if len(payload) > end else [frames[0], frames[2]]


class FrameParser:
    """Bytes in, frames out; keeps what is not yet whole.

    BODY and DATA are returned in as many pieces as they arrive in, so a parser never holds more than one
    control frame (`FRAME_LIMIT`).
    """

    def __init__(self) -> None:
        self._partial = b""
        self._streamed_kind = 0
        self._streamed_left = 0

    def foresees_cancel(self, data: bytes) -> bool:
        """Whether a CANCEL begins in `data`, which is to be fed next. Keeps nothing of it."""
        data = self._partial + data
        position = self._streamed_left
        while position + _HEADER.size <= len(data):
            kind, length = _HEADER.unpack_from(data, position)
            if kind == CANCEL:
                return True
            position += _HEADER.size + length
        return False

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(kind, payload) for all that `data` completes.

        Raises FrameError: an unknown kind, or a control frame over `FRAME_LIMIT`.
        """
        if not self._partial and not self._streamed_left and len(data) >= 5:
            kind, length = _HEADER.unpack_from(data)
            if length <= FRAME_LIMIT:
                # What most reads contain: one whole request, or one whole reply and perhaps IDLE.
                if kind == REQUEST and length == len(data) - 5:
                    return [(kind, data[5:])]
                if kind == ANSWER and length == len(data) - 5:
                    return _split_answer(data[5:])
                if kind == ANSWER and length == len(data) - 10 and data.endswith(_IDLE):
                    return [*_split_answer(data[5:-5]), (IDLE, b"")]
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
                raise FrameError(f"not a Waterspout frame: kind {kind}, {length} bytes")
            end = start + length
            if end > size:
                break
            if kind == ANSWER:
                found += _split_answer(data[start:end])
            else:
                found.append((kind, data[start:end]))
            position = end
        self._partial = data[position:] if position < size else b""
        return found
