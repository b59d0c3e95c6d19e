"""wsgi.input: a request's body, read on demand.

A small body comes with its request and is a `BytesIO`. A large one stays at the client until the view reads:
`LaneBody` asks the event loop for a window of it, and for more as the window empties.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Callable
from functools import cache
from operator import index
from typing import Any, BinaryIO, Final, SupportsIndex

from waterspout.exceptions import ClientDisconnected
from waterspout.limits import FILE_BLOCK, READ_WINDOW
from waterspout.wsgi.frames import UPGRADE
from waterspout.wsgi.worker.inbox import Lane

#: `BufferedReader.read` makes room for all that it is asked for; a larger read is done in such parts.
_READ_AT_ONCE: Final = 64 * 1024 * 1024
#: How far the causes of an error are followed; apps can make cycles of them.
_CAUSES: Final = 16


class LaneBody(io.RawIOBase):
    """The raw stream under `wsgi.input`; `BufferedBody` adds read, readline and iteration."""

    def __init__(self, lane: Lane) -> None:
        super().__init__()
        self._lane = lane
        self._inbox = lane.inbox
        self._asked = 0  # credit that the event loop was given and has not used up

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # RawIOBase says Buffer
        """Fill `buffer` with what there is, waiting for at least one byte; 0 at the end of the body.

        Raises ClientDisconnected: the client left, or broke its framing, before the end.
        """
        if not self._wait():
            return 0
        size = self._take(buffer)
        if not self._inbox.ended:
            self._refill()
        return size

    def readall(self) -> bytes:
        """All that is left, piece by piece as it came: `RawIOBase.readall` asks for 8 KiB at a time.

        Raises ClientDisconnected, as `readinto` does.
        """
        pieces: list[bytes] = []
        while self._wait():
            come = self._inbox.pieces
            self._asked -= sum(map(len, come))
            pieces += come
            come.clear()
            if not self._inbox.ended:
                self._refill()
        return b"".join(pieces)

    def _wait(self) -> bool:
        """Wait until some of the body is here; False: it has ended."""
        while not self._inbox.pieces:
            if self._inbox.cancelled:
                raise _make_error(self._inbox.cancelled)
            if self._inbox.ended:
                return False
            self._refill()
            self._lane.receive(self._inbox)  # the sending thread may have filled the inbox meanwhile
        return True

    def _refill(self) -> None:
        """Top up the window once half of it is used, while the rest is still being read: the event loop
        is never idle, and there is one READ per half window, not per frame."""
        if self._asked <= READ_WINDOW // 2:
            self._lane.ask(READ_WINDOW - self._asked)
            self._asked = READ_WINDOW

    def _take(self, buffer: memoryview) -> int:
        piece = self._inbox.pieces.popleft()
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self._inbox.pieces.appendleft(piece[size:])
        self._asked -= size
        return size


class BufferedBody(io.BufferedReader):
    """Takes any size, as `BytesIO` does, which small bodies are: a view need not know which it has."""

    def read(self, size: SupportsIndex | None = -1, /) -> bytes:
        left = -1 if size is None else index(size)
        if left < 0:
            return super().read()
        pieces = [super().read(min(left, _READ_AT_ONCE))]
        while len(pieces[-1]) == _READ_AT_ONCE:
            left -= _READ_AT_ONCE
            pieces.append(super().read(min(left, _READ_AT_ONCE)))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: SupportsIndex | None = -1, /) -> bytes:
        return super().read() if size is None else super().read1(min(index(size), _READ_AT_ONCE))


def _make_error(text: str) -> ClientDisconnected:
    """Where Werkzeug is loaded, this is also an instance of Werkzeug's error of this name: Flask answers that
    with a 400, which nobody reads; any other exception would log a traceback for each client that gives up.
    """
    werkzeug = sys.modules.get("werkzeug.exceptions")
    return ClientDisconnected(text) if werkzeug is None else _join_error(werkzeug.ClientDisconnected)(text)


@cache
def _join_error(theirs: type[Any]) -> type[ClientDisconnected]:
    def __init__(self: Any, text: str) -> None:
        theirs.__init__(self)
        ClientDisconnected.__init__(self, text)

    ours = ClientDisconnected
    return type(ours.__name__, (ours, theirs), {"__init__": __init__, "__module__": ours.__module__})


def comes_of_leaving(error: BaseException) -> bool:
    """Whether a view has raised this because the client is gone: `ClientDisconnected`, or an OSError caused
    by it, as in Django. Any other OSError, such as a database's TimeoutError, is the view's own.
    """
    link: BaseException | None = error if isinstance(error, OSError) else None
    for _ in range(_CAUSES):
        if link is None or isinstance(link, ClientDisconnected):
            break
        link = link.__cause__ if link.__suppress_context__ else link.__context__
    return isinstance(link, ClientDisconnected)


def open_body(body_length: int, lane: Lane) -> BinaryIO:
    """wsgi.input for a request: `body_length` as in `RequestHead`.

    For -1 (on demand) it is a `BufferedBody`, so it reads ahead by one buffer, never past the end.
    """
    if body_length == UPGRADE:
        return io.BytesIO()
    if body_length < 0:
        return BufferedBody(LaneBody(lane), READ_WINDOW // 4)
    inbox = lane.inbox
    have = sum(map(len, inbox.pieces))
    while have < body_length:
        if inbox.cancelled:
            raise ClientDisconnected(inbox.cancelled)
        lane.receive()
        have = sum(map(len, inbox.pieces))
    return io.BytesIO(b"".join(inbox.pieces))


class FileWrapper:
    """`wsgi.file_wrapper`: an open file as an iterable of blocks (PEP 3333, optional section).

    For a regular file, blocks are at least `FILE_BLOCK` bytes even if a smaller size is suggested: each is
    one frame. For anything else, like a pipe, a block is what there is, up to the size: it may be live.
    """

    def __init__(self, file: BinaryIO, block_size: int = FILE_BLOCK) -> None:
        regular = _is_regular(file)
        self._block_size = max(block_size, FILE_BLOCK) if regular else block_size
        self._read: Callable[[int], bytes] = file.read if regular else _find_read1(file) or file.read
        close: Callable[[], None] | None = getattr(file, "close", None)
        if close is not None:
            self.close = close
        if _is_seekable(file):  # a part can be sent without reading all before it (Werkzeug's Range)
            self.seekable, self.seek, self.tell = file.seekable, file.seek, file.tell

    def __iter__(self) -> FileWrapper:
        return self

    def __next__(self) -> bytes:
        block = self._read(self._block_size)
        if not block:
            raise StopIteration
        return block


def _find_read1(file: BinaryIO) -> Callable[[int], bytes] | None:
    """`read1`, which reads as much as there is. `io.BufferedIOBase` has one that only raises: not that."""
    if getattr(type(file), "read1", None) is io.BufferedIOBase.read1:
        return None
    return getattr(file, "read1", None)


def _is_seekable(file: BinaryIO) -> bool:
    seekable = getattr(file, "seekable", None)
    return seekable is not None and bool(seekable())


def _is_regular(file: BinaryIO) -> bool:
    """Whether reading more at once never has to wait."""
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except (AttributeError, OSError):
        return isinstance(file, io.BytesIO)
