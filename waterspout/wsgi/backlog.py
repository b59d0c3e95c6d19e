"""Small requests that are queued for a lane worker which is still busy, and the small replies to them.

Two pipes beside the lane's socket. The event loop writes requests into one, a packet each; when the worker
has finished one it takes the next, without a message or a wait. Its answers go into the other pipe, which
the event loop reads when it is awake anyway. So neither wakes the other for each request: that, and threads
of one process that wait for its interpreter lock, cost more than a small view does.

What the worker has not taken can be taken back: the kernel keeps it, and the first reader gets it. So no
request has to wait behind a view that turns out to be slow (`waterspout.wsgi.lanes.prefetch` handles that).

Linux only, where pipes have packets (O_DIRECT of pipe(2)). Imports nothing of the event loop.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from os import read, write  # Python's own, whatever an app puts there when it is imported (eventlet)
from typing import Final, Generic, NamedTuple, TypeVar

from waterspout.limits import ANSWERS_READ, ANSWERS_SIZE, PACKET, REQUESTS_SIZE
from waterspout.system.descriptors import reserve
from waterspout.wsgi.frames import ANSWER, ReplyHead, parse_answer

try:
    from fcntl import fcntl, ioctl
    from termios import FIONREAD
except ImportError:  # Windows, which `pool/pool.py` refuses with a message
    fcntl = ioctl = None  # type: ignore[assignment]

#: Before the request in a packet: its token.
_TOKEN: Final = struct.Struct("!I")
#: Before the ANSWER in a packet: its token, and for how many seconds the request ran.
_TIMED: Final = struct.Struct("!Id")
#: Both, and the ANSWER's own header.
_BEFORE_ANSWER: Final = struct.Struct("!IdBI")
_COUNT: Final = struct.Struct("i")
_SET_PIPE_SIZE: Final = 1031  # F_SETPIPE_SZ of fcntl(2)
_TOKENS: Final = 2**32

User = TypeVar("User")


class Answer(NamedTuple):
    """A whole small reply; `seconds`, how long its request ran."""

    seconds: float
    head: ReplyHead
    body: bytes


class Backlog(Generic[User]):
    """The event loop's ends. `User`: the owner of a request. Raises OSError: no descriptors are left.

    Attributes: `users`, by token and in order, those whose requests were queued here and about which the
    worker has said nothing yet; `far_end`, the worker's: the caller that hands it over has to close it.
    """

    def __init__(self) -> None:
        self.users: dict[int, User] = {}
        self._token = 0
        self._rest = b""
        with contextlib.ExitStack() as opened:
            # Both ends of the first pipe are kept, to take back what the worker has not taken.
            unread, ready = _open_pipe(opened, os.O_DIRECT)
            answers, answering = _open_pipe(opened)
            reading = os.dup(unread)
            opened.pop_all()
        self._unread, self._ready, self._answers = map(reserve.move, (unread, ready, answers))
        self.far_end = BacklogEnd(reading, answering)
        _widen(self._ready, REQUESTS_SIZE)
        _widen(self._answers, ANSWERS_SIZE)

    def put(self, user: User, frames: bytes) -> bool:
        """Queue a request. False: it is too large, or there are as many as the pipe holds."""
        if not fits(frames):
            return False
        token = (self._token + 1) % _TOKENS or 1
        try:
            write(self._ready, _TOKEN.pack(token) + frames)
        except OSError:
            return False
        self._token = token
        self.users[token] = user
        return True

    def take_back(self) -> list[User]:
        """The users whose requests the worker has not taken, in order: now it never will."""
        users = []
        while packet := _read(self._unread, PACKET):
            user = self.users.pop(_TOKEN.unpack_from(packet)[0], None)
            if user is not None:
                users.append(user)
        return users

    def withdraw(self, user: object) -> int:
        """Forget `user`. Returns its token if the worker has taken the request, or 0: now it never will."""
        found = next((token for token, other in self.users.items() if other is user), 0)
        self.users.pop(found, None)
        packets = []
        while packet := _read(self._unread, PACKET):
            packets.append(packet)
        for packet in packets:
            token = _TOKEN.unpack_from(packet)[0]
            if token == found:
                found = 0
            else:  # behind what the worker has taken in the meantime
                self.users[token] = self.users.pop(token)
                write(self._ready, packet)
        return found

    def collect(self, rest: bytes = b"") -> list[tuple[int, Answer]]:
        """The worker's answers with their tokens, in order. `rest`: the remainder of the last answer, if the
        pipe had no room for all of it; until that has come, nothing follows the answer's first part in the
        pipe.
        """
        found: list[tuple[int, Answer]] = []
        data = self._rest + _read_all(self._answers) + rest
        position, size = 0, len(data)
        while size - position >= _BEFORE_ANSWER.size:
            token, seconds, _kind, length = _BEFORE_ANSWER.unpack_from(data, position)
            start = position + _BEFORE_ANSWER.size
            if start + length > size:
                break
            position = start + length
            found.append((token, Answer(seconds, *parse_answer(data, start, position))))
        self._rest = data[position:]
        return found

    @property
    def is_empty(self) -> bool:
        """The worker has taken everything that was queued here."""
        return _measure(self._unread) == 0

    def close(self) -> None:
        """What is left in the pipes is lost."""
        for descriptor in (self._unread, self._ready, self._answers):
            os.close(descriptor)


class BacklogEnd:
    """The worker's ends: where it reads requests, and where it writes answers.

    Attributes: `descriptors`, both.
    """

    def __init__(self, reading: int, answering: int) -> None:
        self._reading = reading
        self._answering = answering
        self._has_room = True

    @property
    def descriptors(self) -> tuple[int, int]:
        return self._reading, self._answering

    def take(self) -> tuple[int, bytes] | None:
        """The token and the frames of the next request; None: there is none. Never blocks."""
        packet = _read(self._reading, PACKET)
        return (_TOKEN.unpack_from(packet)[0], packet[_TOKEN.size :]) if packet else None

    def estimate(self, packet: int) -> int:
        """How many requests of `packet` bytes each are queued."""
        return _measure(self._reading) // packet

    def answer(self, token: int, seconds: float, frame: bytes) -> bytes | None:
        """Write an ANSWER into the pipe, to be found within a few milliseconds.

        Returns what the pipe had no room for: that must go over the lane, and until `make_room` the pipe
        takes nothing more. None: nothing was written, as it is not an ANSWER or there is no room at all; then
        all of it must go over the lane, as a separate reply.
        """
        if frame[0] != ANSWER or not self._has_room:
            return None
        data = _TIMED.pack(token, seconds) + frame
        try:
            rest = data[write(self._answering, data) :]
        except OSError:
            return None
        self._has_room = not rest
        return rest

    def make_room(self) -> None:
        """The event loop has seen the rest of the last answer."""
        self._has_room = True

    def close(self) -> None:
        os.close(self._reading)
        os.close(self._answering)


def fits(frames: bytes) -> bool:
    """Whether a request is small enough for a backlog."""
    return len(frames) <= PACKET - _TOKEN.size


def is_possible() -> bool:
    """Whether pipes have packets here, and only one thread of a process computes at a time."""
    has_lock = getattr(sys, "_is_gil_enabled", lambda: True)
    return sys.platform == "linux" and has_lock()


def _open_pipe(opened: contextlib.ExitStack, flags: int = 0) -> tuple[int, int]:
    ends = os.pipe2(flags | os.O_NONBLOCK | os.O_CLOEXEC)
    for end in ends:
        opened.callback(os.close, end)
    return ends


def _widen(pipe: int, size: int) -> None:
    """Enlarge a pipe: a packet takes a page, and a pipe has 16 by default. If this process may not have
    more, those have to do.
    """
    with contextlib.suppress(OSError):
        fcntl(pipe, _SET_PIPE_SIZE, size)


def _measure(pipe: int) -> int:
    """How many bytes are in the pipe."""
    (size,) = _COUNT.unpack(ioctl(pipe, FIONREAD, _COUNT.pack(0)))
    return int(size)


def _read(pipe: int, size: int) -> bytes:
    """What is in the pipe; b"" if it is empty, or if nobody will write any more."""
    try:
        return read(pipe, size)
    except BlockingIOError:
        return b""


def _read_all(pipe: int) -> bytes:
    data = _read(pipe, ANSWERS_READ)
    if len(data) < ANSWERS_READ:
        return data
    pieces = [data]
    while data := _read(pipe, ANSWERS_READ):
        pieces.append(data)
    return b"".join(pieces)
