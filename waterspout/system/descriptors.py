"""How many descriptors this process may have, which of them clients don't get, and which limit an error
speaks of. Leaf.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Final

try:
    import fcntl
    import resource
except ImportError:
    fcntl = None  # type: ignore[assignment]  # Windows has none
    resource = None  # type: ignore[assignment]  # nor this

#: What limits processes and threads. (A thread needs address space: the error doesn't say which it lacked.)
MORE_TASKS: Final = "ulimit -u, ulimit -v, pids.max, TasksMax"
#: Nothing is moved further up: the kernel's table has eight bytes for each number below the highest in use.
_HIGHEST: Final = 65536


def find_limit() -> int | None:
    """The current `ulimit -n`; None: there is none, or this system does not tell."""
    if resource is None:
        return None
    try:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (OSError, ValueError):
        return None  # forbidden by a sandbox
    return None if soft == resource.RLIM_INFINITY else soft


class Reserve:
    """The highest descriptors, which clients don't get: `used`, as many as lanes and WSGI processes take, and
    `more`, to start others beside those and for what else the server has to open, but at most a quarter of
    what the former leave of `ulimit -n`, and the `lower` ones: the other ends of lanes in this process.

    WSGI processes have theirs here, and not among the numbers below. Otherwise clients would take those as
    soon as a reload frees them, and the next reload would find the reserve taken by the processes that run.
    """

    def __init__(self) -> None:
        self.used = self.more = self.lower = 0

    @contextlib.contextmanager
    def enlarged(self, used: int, more: int, lower: int = 0) -> Iterator[None]:
        """By what one server of this process needs."""
        self.used += used
        self.more += more
        self.lower += lower
        try:
            yield
        finally:
            self.used -= used
            self.more -= more
            self.lower -= lower

    @property
    def first(self) -> int | None:
        """The lowest of them; None: there are none."""
        limit = find_limit()
        left = 0 if limit is None else limit - self.used
        kept = min(self.more, max(0, left - self.lower) // 4)
        return left - kept if kept else None

    def move(self, descriptor: int) -> int:
        """Move a descriptor here, if possible. Returns its number."""
        copy = self._copy(descriptor)
        if copy is None:
            return descriptor
        os.close(descriptor)
        return copy

    def move_socket(self, sock: socket.socket) -> socket.socket:
        """Move a socket here, if possible. Returns it, or the one that takes its place."""
        copy = self._copy(sock.fileno())
        if copy is None:
            return sock
        sock.close()
        return socket.socket(fileno=copy)

    def _copy(self, descriptor: int) -> int | None:
        first = self.first
        if fcntl is None or first is None or not descriptor < first <= _HIGHEST:
            return None
        try:
            return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, first)
        except OSError:
            return None  # all are in use


#: That of this process. A program that does not say how many it needs has none.
reserve: Final = Reserve()


def is_shortage(error: OSError) -> bool:
    """No descriptor is left, to this process or on the whole machine; or no process, or no memory."""
    return error.errno in (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)


def describe_limit(error: OSError) -> str:
    """` (ulimit -n is 20)`, or what limits processes: the end of an error that it causes; "" for others."""
    if isinstance(error, BlockingIOError):
        # fork's: "Resource temporarily unavailable", which names no resource.
        return f" (allow more processes and threads: {MORE_TASKS})"
    limit = find_limit() if error.errno == errno.EMFILE else None
    return "" if limit is None else f" (ulimit -n is {limit})"
