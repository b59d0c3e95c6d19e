"""How many descriptors this process may have, and which limit an error speaks of. Leaf."""

from __future__ import annotations

import errno
from typing import Final

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]  # Windows has none

#: What limits processes and threads. (A thread needs address space: the error doesn't say which it lacked.)
MORE_TASKS: Final = "ulimit -u, ulimit -v, pids.max, TasksMax"


def find_limit() -> int | None:
    """The current `ulimit -n`; None: there is none, or this system does not tell."""
    if resource is None:
        return None
    try:
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    except (OSError, ValueError):
        return None  # forbidden by a sandbox
    return None if soft == resource.RLIM_INFINITY else soft


def is_shortage(error: OSError) -> bool:
    """No descriptor is left: to this process, or on the whole machine."""
    return error.errno in (errno.EMFILE, errno.ENFILE)


def describe_limit(error: OSError) -> str:
    """` (ulimit -n is 20)`, or what limits processes: the end of an error that it causes; "" for others."""
    if isinstance(error, BlockingIOError):
        # fork's: "Resource temporarily unavailable", which names no resource.
        return f" (allow more processes and threads: {MORE_TASKS})"
    limit = find_limit() if error.errno == errno.EMFILE else None
    return "" if limit is None else f" (ulimit -n is {limit})"
