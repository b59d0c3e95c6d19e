"""A client that sends exactly what it is told, in the pieces it is told, and takes no reply on trust."""

import asyncio
import contextlib
import re
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.http.case import PROBE

#: A body of 200,000 chunks takes a second, and many times that on a busy machine (seconds).
DEADLINE = 60.0
CONNECTIONS = 64
_BLOCK = 65536
_STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) ([\t\x20-\x7e]*)")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x21-\x7e]?[\t\x20-\x7e]*)")
#: The answer to bytes that do not begin like a request.
BARE = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class Garbage(Exception):
    """What the server sent is not a reply."""


@dataclass
class Reply:
    status: int
    fields: list[tuple[str, str]]
    body: bytes = b""
    bare: bool = False

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def closes(self) -> bool:
        return self.bare or "close" in self.all("connection")


@dataclass
class Outcome:
    """`ending`: "open", "eof", "reset", "hang", or what was not a reply. `probed`: one more request, sent on
    the connection when all others had been answered, was answered, too.
    """

    replies: list[Reply] = field(default_factory=list)
    continues: int = 0
    ending: str = "open"
    probed: bool = False
    was_reset: bool = False


class ReplyReader:
    """Replies from bytes. `methods`: those of the requests, as far as known; replies to HEAD have no body."""

    def __init__(self, methods: Sequence[str], outcome: Outcome):
        self._methods = methods
        self._outcome = outcome
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Raises Garbage."""
        self._buffer += data
        while self._take():
            pass

    def end(self) -> None:
        """Nothing more comes. Raises Garbage: half a reply is left."""
        if not self._buffer:
            return
        head, end, body = bytes(self._buffer).partition(b"\r\n\r\n")
        reply = parse_head(head)
        if not end or body or reply.status < 400:
            raise Garbage(f"half a reply: {bytes(self._buffer[:200])!r}")
        self._add(reply)  # a refused HEAD has no body: the caller must judge whether it was one

    def _take(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        reply = parse_head(bytes(self._buffer[:end]))
        length = self._length_of_body(reply)
        if len(self._buffer) < end + 4 + length:
            return False
        reply.body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._add(reply)
        return True

    def _length_of_body(self, reply: Reply) -> int:
        replies = self._outcome.replies
        method = self._methods[len(replies)] if len(replies) < len(self._methods) else ""
        if reply.status < 200 or reply.bare or (reply.status == 200 and method == "HEAD"):
            return 0
        lengths = reply.all("content-length")
        if len(lengths) != 1 or not lengths[0].isdigit() or reply.all("transfer-encoding"):
            raise Garbage(f"not delimited: {reply}")
        return int(lengths[0])

    def _add(self, reply: Reply) -> None:
        before = self._outcome.replies
        if before and before[-1].closes:
            raise Garbage(f"a reply behind the last one: {reply}")
        if reply.status >= 200:
            before.append(reply)
        elif reply.status == 100 and not reply.fields:
            self._outcome.continues += 1
        else:
            raise Garbage(f"not asked for: {reply}")


def parse_head(head: bytes) -> Reply:
    """`head` without its empty line. Raises Garbage."""
    line, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(line)
    fields = [_FIELD.fullmatch(line) for line in lines]
    if status is None or not all(fields):
        raise Garbage(f"not a reply: {head[:200]!r}")
    pairs = [(found[1].decode(), found[2].decode()) for found in fields if found]
    return Reply(int(status[1]), pairs, bare=head + b"\r\n\r\n" == BARE)


@dataclass
class Plan:
    """What to send, and when to stop. `replies`: how many to wait for before the connection's end is judged.
    `then`: "probe", send one more request and wait for its answer; "half-close"; "eof", just wait.
    `early`: half-close as soon as all is sent, whatever has been answered.
    """

    pieces: Sequence[bytes]
    replies: int
    then: str
    methods: Sequence[str] = ()
    pause: float = 0.0
    early: bool = False
    deadline: float = DEADLINE


async def talk(port: int, plan: Plan) -> Outcome:
    """One connection."""
    outcome = Outcome()
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sending: list[asyncio.Task[None]] = []
    try:
        async with asyncio.timeout(plan.deadline):
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            sending.append(asyncio.create_task(_send(sock, plan.pieces, plan.pause, outcome)))
            await _converse(sock, plan, outcome, sending[0])
    except TimeoutError:
        outcome.ending = "hang"
    except Garbage as error:
        outcome.ending = str(error)
    except ConnectionError:
        outcome.ending = "reset"
    finally:
        for task in sending:
            task.cancel()
            await asyncio.wait([task])
        sock.close()
    return outcome


async def _send(sock: socket.socket, pieces: Iterable[bytes], pause: float, outcome: Outcome) -> None:
    """A server that has gone is not this side's concern; but a reset that is reported here is not reported
    again when reading, which finds an end.
    """
    try:
        for piece in pieces:
            await asyncio.get_running_loop().sock_sendall(sock, piece)
            await asyncio.sleep(pause)
    except ConnectionResetError:
        outcome.was_reset = True
    except OSError:
        pass


async def _converse(sock: socket.socket, plan: Plan, outcome: Outcome, sender: asyncio.Task[None]) -> None:
    reader = ReplyReader([*plan.methods, "GET"], outcome)
    if plan.early:
        await _half_close(sock, sender)
    if not await _read(sock, reader, outcome, plan.replies):
        return
    if plan.then == "probe" and not (outcome.replies and outcome.replies[-1].closes):
        await sender
        await _send(sock, [PROBE], 0, outcome)
        outcome.probed = await _read(sock, reader, outcome, plan.replies + 1)
        return
    if plan.then == "half-close":
        await _half_close(sock, sender)
    # One reply more than there may be is enough to know.
    await _read(sock, reader, outcome, plan.replies + 1)


async def _half_close(sock: socket.socket, sender: asyncio.Task[None]) -> None:
    await sender
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)


async def _read(sock: socket.socket, reader: ReplyReader, outcome: Outcome, replies: int) -> bool:
    """Read until there are `replies` replies: True; or until the end: False."""
    while len(outcome.replies) < replies:
        data = await asyncio.get_running_loop().sock_recv(sock, _BLOCK)
        if not data:
            outcome.ending = "reset" if outcome.was_reset else "eof"
            reader.end()
            return False
        reader.feed(data)
    return True


async def talk_all(port: int, plans: Iterable[Plan]) -> list[Outcome]:
    """Many connections, CONNECTIONS at a time."""
    gate = asyncio.Semaphore(CONNECTIONS)

    async def one(plan: Plan) -> Outcome:
        async with gate:
            return await talk(port, plan)

    return await asyncio.gather(*map(one, plans))
