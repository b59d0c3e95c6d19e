"""The temporary file of all spools, and the thread that reads and writes it.

It has no name, so nothing is left of it whatever happens; and a disk that hangs blocks no event loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue  # Python's own, whatever is put there later (gevent's is for one thread alone)
from typing import Any

#: The result of a job: the bytes that were read, None after a write, or why it failed.
Outcome = bytes | OSError | None
_Job = tuple[Callable[[int], bytes | None], Callable[[Outcome], Any]]


class Disk:
    """One file. All work is done in the order in which it is requested, in a separate thread; `done` is
    called with the outcome, in the event loop that created this.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._failure: OSError | None = None
        try:
            threading.Thread(target=self._work, name="waterspout-spool", daemon=True).start()
        except RuntimeError as error:
            self._failure = OSError(errno.EAGAIN, str(error))  # as on a disk that fails

    def write(self, pieces: list[tuple[int, bytes]], done: Callable[[Outcome], Any]) -> None:
        """Write each piece at its offset."""
        self._ask(partial(_write, pieces), done)

    def read(self, offset: int, size: int, done: Callable[[Outcome], Any]) -> None:
        """Read the `size` bytes at `offset`."""
        self._ask(partial(_read, offset, size), done)

    def _ask(self, work: Callable[[int], bytes | None], done: Callable[[Outcome], Any]) -> None:
        if self._failure is not None:
            self._loop.call_soon(done, self._failure)
        else:
            self._jobs.put((work, done))

    def close(self) -> None:
        """When all requested work is done, close the file and end the thread."""
        self._jobs.put(None)

    def _work(self) -> None:
        file: Any = None
        try:
            while (job := self._jobs.get()) is not None:
                work, done = job
                outcome: Outcome
                try:
                    if file is None:
                        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
                    outcome = work(file.fileno())
                except OSError as error:
                    outcome = _name_folder(error)
                self._loop.call_soon_threadsafe(done, outcome)
        except RuntimeError:
            pass  # the event loop is closed: nobody wants the outcome
        finally:
            if file is not None:
                file.close()


def _name_folder(error: OSError) -> OSError:
    """Let it say which disk it is about: the file itself has no name."""
    if error.filename is None and error.errno is not None:
        error.filename = tempfile.tempdir
    return error


def _write(pieces: list[tuple[int, bytes]], descriptor: int) -> None:
    for offset, data in pieces:
        rest = memoryview(data)
        while rest:
            size = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[size:], offset + size


def _read(offset: int, size: int, descriptor: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) != size:
        raise OSError(errno.EIO, "the spool's file is shorter than what was written to it")
    return data
