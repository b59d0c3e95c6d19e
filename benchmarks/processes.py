"""What /proc tells of a server: all processes of its session, so what it started, too."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

PAGE_KIB = os.sysconf("SC_PAGE_SIZE") / 1024
TICKS = os.sysconf("SC_CLK_TCK")


def read_memory(session: int) -> float:
    """Resident KiB."""
    return sum(read_resident(pid) for pid in find_members(session))


def read_cpu(session: int) -> float:
    """Seconds of CPU used so far, in user and kernel mode."""
    spent = (read_stat(pid)[11:13] for pid in find_members(session))
    return sum(int(ticks) for both in spent for ticks in both) / TICKS


def reset_peak(pid: int) -> None:
    """From now on, `read_peak` looks no further back (proc(5), /proc/PID/clear_refs)."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def read_peak(pid: int) -> float:
    """The most resident KiB so far."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+([0-9]+) kB$", status, flags=re.M)
    return float(found[1]) if found else 0.0


def find_members(session: int) -> list[int]:
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    return [pid for pid in pids if read_stat(pid)[3:4] == [str(session)]]


def read_stat(pid: int) -> list[str]:
    """proc(5), /proc/PID/stat from the third field on: the second, in brackets, may hold anything.

    Empty for a process that is gone.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def read_resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KIB
    except OSError:
        return 0.0
