"""A file on its way to a plain socket by `sendfile(2)`: its bytes never become Python objects.

One way for both event loops. uvloop has no `loop.sendfile`; asyncio's stops reading while it sends, so that a
client that leaves is not noticed, and does not report its progress, which the write timeout depends on.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
from collections.abc import Callable
from typing import BinaryIO, ClassVar, Final

from tornado.log import app_log, gen_log

from waterspout.limits import EXHAUSTED_PAUSE, SENDFILE_PIECE, THREAD_PAUSE
from waterspout.logs.tally import Tally

IS_THERE: Final = hasattr(os, "sendfile")
#: Only Linux can say whether reading would wait for a disk.
_NOWAIT: Final = getattr(os, "RWF_NOWAIT", 0)
#: This file system, or sandbox, has no sendfile.
_UNABLE: Final = frozenset((errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM))
#: The disk's fault, or that of a file system, and not the client's. (EUCLEAN, a damaged one, is Linux's own.)
_OF_FILE: Final = frozenset(
    (errno.EIO, errno.ESTALE, errno.ENXIO, errno.EBADMSG, getattr(errno, "EUCLEAN", errno.EIO))
)
#: Counts the times that no thread could wait for a disk.
_unread: Final = Tally(EXHAUSTED_PAUSE)


class FilePart:
    """`left` bytes of `file`, from `offset` on, for the socket `fileno`. Owns `file`, and closes it.

    `on_sent(size)`: the kernel has taken `size` more bytes. `on_room`: all has been sent, after a `send` that
    returned False; call `send` again. `on_failure(reason)`: it will never be complete, because of the client
    (`reason` is empty), or not (it names the file).

    Attributes: `sent`, `left`, in bytes; `no_threads_until`, for all parts: no thread is available until then
    (loop time).
    """

    no_threads_until: ClassVar[float] = -math.inf
    __slots__ = (
        "_file",
        "_on_failure",
        "_on_room",
        "_on_sent",
        "_target",
        "_transfer",
        "_waits",
        "_warming",
        "left",
        "loop",
        "offset",
        "sent",
    )

    def __init__(self, file: BinaryIO, offset: int, left: int, fileno: int) -> None:
        self._file = file
        self.offset = offset
        self.left = left
        self.sent = 0
        self.loop = asyncio.get_running_loop()
        # A separate descriptor: the loop does not allow watching that of a transport.
        self._target = os.dup(fileno)
        self._transfer: Callable[[int, int, int, int], int] = os.sendfile
        self._waits = False
        self._warming: asyncio.Future[None] | None = None

    def bind(
        self,
        on_sent: Callable[[int], None],
        on_room: Callable[[], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Set the callbacks. To be called before the first `send`."""
        self._on_sent, self._on_room, self._on_failure = on_sent, on_room, on_failure

    def send(self) -> bool:
        """Send one piece, if the socket takes it. Returns whether all is sent; if not, `on_room` follows."""
        if self.left and self._warming is None and self._target >= 0:
            size = min(self.left, SENDFILE_PIECE)
            if not _is_cold(self._file, self.offset + size - 1) or not self._warm(size):
                self._send(size)
        return not self.left

    def close(self) -> None:
        """Stop sending, and release the file and the socket."""
        if self._target < 0:
            return
        self._stop_waiting()
        os.close(self._target)
        self._target = -1
        self._on_sent = self._on_room = self._on_failure = _ignore  # no reference cycle
        if self._warming is None:
            self._file.close()

    def _send(self, size: int) -> None:
        try:
            sent = self._transfer(self._target, self._file.fileno(), self.offset, size)
        except (BlockingIOError, InterruptedError):
            self._wait()
            return
        except OSError as error:
            if error.errno in _UNABLE and self._transfer is os.sendfile:
                self._transfer = _copy
                self._send(size)
                return
            if error.errno in _OF_FILE:
                self._fail(f"{self._file.name!r} can't be read: {error}")
                return
            gen_log.info("a file could not be sent: %s", error)
            self._fail()
            return
        if not sent:
            self._fail(f"{self._file.name!r} became shorter while it was being sent")
            return
        self.offset += sent
        self.left -= sent
        self.sent += sent
        self._on_sent(sent)
        if self.left:
            self._wait()

    def _wait(self) -> None:
        if self._waits:
            return
        try:
            self.loop.add_writer(self._target, self._on_writable)
        except OSError as error:  # the kernel watches no more descriptors
            self._fail(f"{self._file.name!r} can't be sent: {error}")
        else:
            self._waits = True

    def _stop_waiting(self) -> None:
        if self._waits:
            self._waits = False
            self.loop.remove_writer(self._target)

    def _on_writable(self) -> None:
        if self.send():
            self._stop_waiting()
            self._on_room()

    def _fail(self, reason: str = "") -> None:
        self._stop_waiting()
        self._on_failure(reason)

    # -- a file that is not in memory --------------------------------------------------------------------

    def _warm(self, size: int) -> bool:
        """Let a thread wait for the disk. False: no thread is available, so the loop has to wait."""
        now = self.loop.time()
        if now < FilePart.no_threads_until:
            return False
        try:
            self._warming = self.loop.run_in_executor(None, _read_ahead, self._file, self.offset, size)
        except RuntimeError as error:
            # Not tried for each piece: the executor keeps the work items that it has no thread for.
            FilePart.no_threads_until = now + THREAD_PAUSE
            if _unread.count(now):
                app_log.warning("%s: the event loop itself waits for files that are not in memory", error)
            return False
        self._stop_waiting()
        self._warming.add_done_callback(self._on_warm)
        return True

    def _on_warm(self, warming: asyncio.Future[None]) -> None:
        self._warming = None
        if self._target < 0:
            self._file.close()
        if warming.cancelled() or self._target < 0:
            return
        if (error := warming.exception()) is not None:
            self._fail(f"{self._file.name!r} can't be read: {error}")
            return
        # Not by `send`: what was read may be gone from memory again, and that must not go on forever.
        self._send(min(self.left, SENDFILE_PIECE))
        if not self.left:
            self._on_room()


def _ignore(_told: object = None) -> None:
    pass


def _is_cold(file: BinaryIO, position: int) -> bool:
    """Whether reading at `position` would wait for a disk, as far as the system can tell."""
    if not _NOWAIT:
        return False
    try:
        os.preadv(file.fileno(), [bytearray(1)], position, _NOWAIT)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system that can't tell, such as tmpfs; or an error that sendfile will find
    return False


def _read_ahead(file: BinaryIO, offset: int, size: int) -> None:
    """Read a piece of `file` into memory, and begin with the next one. Raises OSError."""
    with contextlib.suppress(OSError):  # no more than a hint
        os.posix_fadvise(file.fileno(), offset, 2 * size, os.POSIX_FADV_WILLNEED)
    os.pread(file.fileno(), size, offset)


def _copy(target: int, source: int, offset: int, size: int) -> int:
    """Like `os.sendfile`, but through our memory."""
    return os.write(target, os.pread(source, size, offset))
