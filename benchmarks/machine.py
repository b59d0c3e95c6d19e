"""This box: its cores, its programs, its versions."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from benchmarks.errors import Unprepared

PROGRAMS = {
    "wrk": "the load generator: apt-get install wrk, dnf install wrk, or github.com/wg/wrk",
    "taskset": "part of util-linux: apt-get install util-linux",
}
#: What results depend on, as pip calls it.
PACKAGES = (
    "a2wsgi", "aiohttp", "flask", "granian", "gunicorn", "httptools", "starlette", "tornado", "uvicorn",
    "uvloop", "waitress", "waterspout", "websockets", "werkzeug", "wsproto",
)  # fmt: skip


def require_all() -> None:
    """Raises Unprepared for the first thing that a benchmark needs and this machine has not."""
    if not sys.platform.startswith("linux"):
        raise Unprepared("Linux is needed: memory is read from /proc, and servers are pinned by taskset")
    for name, hint in PROGRAMS.items():
        if shutil.which(name) is None:
            raise Unprepared(f"{name} is missing ({hint})")
    if len(cores()) < 2:
        raise Unprepared("two cores are needed: one for the server, one for wrk")


def cores() -> list[int]:
    """Those that this process may use."""
    return sorted(os.sched_getaffinity(0))


def server_core() -> int:
    return cores()[-1]


def wrk_core() -> int:
    """The first, the server has the last: where there are more than two they share no physical core."""
    return cores()[0]


def read_model() -> str:
    match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.M)
    return match[1] if match else platform.machine()


def read_wrk_version() -> str:
    said = subprocess.run(["wrk", "-v"], capture_output=True, text=True, timeout=10).stdout
    return said.split()[1] if said.startswith("wrk ") else "unknown"


def find_nginx() -> str | None:
    """It stands where not every user's PATH looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def nginx_folders(folder: object) -> str:
    """Directives that keep all that nginx writes in one folder."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)


def read_nginx_version() -> str:
    program = find_nginx()
    if program is None:
        return "none"
    said = subprocess.run([program, "-v"], capture_output=True, text=True, timeout=10).stderr
    return said.strip().rpartition("/")[2] or "unknown"


def describe() -> dict[str, object]:
    """What a reader must know of where figures come from."""
    return {
        "date": datetime.datetime.now().astimezone().date().isoformat(),
        "cores": len(cores()),
        "processor": read_model(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "python": platform.python_version(),
            "wrk": read_wrk_version(),
            "nginx": read_nginx_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }
