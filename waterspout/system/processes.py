"""What Linux tells about a process, this one or another: memory, CPU time, cores, which threads would
run. Leaf.
"""

from __future__ import annotations

import os
import time
from typing import Final

#: The ID of a process's clock is derived from its PID: clock_getcpuclockid(3), <linux/posix-timers.h>.
_CPUCLOCK_SCHED: Final = 2
#: In /proc/PID/stat, after the name: the kernel's flags (proc(5)), and one of those (<linux/sched.h>).
_FLAGS: Final = 6
_PF_EXITING: Final = 0x4


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


def is_ending(pid: int) -> bool:
    """Whether the process has begun to end: it closes its descriptors before others can wait for it."""
    fields = _read_stat(f"/proc/{pid}/stat").split()
    return len(fields) > _FLAGS and bool(int(fields[_FLAGS]) & _PF_EXITING)


def _read_state(path: str) -> bytes:
    """One letter, as proc(5) explains; b"" if unknown."""
    return _read_stat(path)[:1]


def _read_stat(path: str) -> bytes:
    """What stands behind the name; b"" if unknown."""
    try:
        with open(path, "rb") as file:
            return file.read().rpartition(b") ")[2]
    except OSError:
        return b""


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
