"""What Linux tells about a process, this one or another: memory, CPU time, cores, which threads would
run. Leaf.
"""

from __future__ import annotations

import os
import time
from typing import Final

#: The ID of a process's clock is derived from its PID: clock_getcpuclockid(3), <linux/posix-timers.h>.
_CPUCLOCK_SCHED: Final = 2


def read_cpu_time(pid: int) -> float:
    """Seconds of CPU time that a process has used; infinite if unknown."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError:
        return float("inf")


def is_ready(pid: int, thread: int) -> bool:
    """Whether the thread runs, or waits for a core and for nothing else."""
    return _read_state(f"/proc/{pid}/task/{thread}/stat") == b"R"


def is_stopped(pid: int) -> bool:
    """Whether somebody has stopped the process (SIGSTOP), or holds it in a debugger."""
    return _read_state(f"/proc/{pid}/stat") in (b"T", b"t")


def _read_state(path: str) -> bytes:
    """One letter, as proc(5) explains; b"" if unknown."""
    try:
        with open(path, "rb") as file:
            _, _, rest = file.read().rpartition(b") ")
    except OSError:
        return b""
    return rest[:1]


def read_rss(pid: int) -> int | None:
    """The resident memory of a process (bytes); None: it is gone, or this system does not tell."""
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return None


def count_cores() -> int:
    """How many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not Linux
        return os.cpu_count() or 1
