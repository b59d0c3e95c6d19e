"""Requests a second, by wrk."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

from benchmarks import machine
from benchmarks.contestants import Contestant
from benchmarks.errors import BenchmarkError
from benchmarks.processes import read_cpu
from benchmarks.questions import Question
from benchmarks.server import Server

WARM_UP_SECONDS = 1
#: What wrk may need beyond the time that it measures.
GRACE = 20
#: A reply that takes longer than this is none (seconds). In front of a full queue it may take a few.
REPLY_TIMEOUT = 15
#: Less than the shortest line for a request, more than a server that is quiet says.
LINE_BYTES = 20
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def plan(options: argparse.Namespace) -> float:
    """About how many seconds a turn will take."""
    return options.seconds + WARM_UP_SECONDS + 2


def measure(
    question: Question, contestant: Contestant, options: argparse.Namespace, log: Path
) -> dict[str, float]:
    """One turn: start, ask once, warm up, measure, stop."""
    with Server(contestant, log, pinned=question.pinned) as server:
        server.check(question.path, question.expected)
        wrk = (server, question.path, options.connections)
        run_wrk(*wrk, WARM_UP_SECONDS, pinned=question.pinned)
        size, cpu = log.stat().st_size, read_cpu(server.process.pid)
        found = run_wrk(*wrk, options.seconds, pinned=question.pinned)
        check_log(question, server, (log.stat().st_size - size) / found["requests"])
        cpu = read_cpu(server.process.pid) - cpu
        return {**found, "cpu_us": cpu / found["requests"] * 1e6, "busy": cpu / options.seconds}


def run_wrk(server: Server, path: str, connections: int, seconds: int, *, pinned: bool) -> dict[str, float]:
    return read_wrk(server, start_wrk(server, path, connections, seconds, pinned=pinned), seconds)


def start_wrk(
    server: Server, path: str, connections: int, seconds: int, *, pinned: bool
) -> subprocess.Popen[str]:
    pin = ["taskset", "-c", str(machine.wrk_core())] if pinned else []
    url = f"http://127.0.0.1:{server.port}{path}"
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{REPLY_TIMEOUT}s", "--latency"]
    return subprocess.Popen([*pin, *wrk, url], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def read_wrk(server: Server, wrk: subprocess.Popen[str], seconds: int, *, least: int = 1) -> dict[str, float]:
    """The figures of a run that was started for so many seconds. Raises BenchmarkError: it failed, or fewer
    than `least` requests were answered.
    """
    try:
        output, _ = wrk.communicate(timeout=seconds + GRACE)
        return parse_wrk(output, least=least)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise server.failure(f"failed under load ({error})") from None
    finally:
        wrk.kill()
        wrk.communicate()


def parse_wrk(output: str, *, least: int = 1) -> dict[str, float]:
    """Figures of one run of wrk. Raises ValueError for one that says of a failed request, or says nothing."""
    for trouble in ("Non-2xx", "Socket errors"):
        if trouble in output:
            raise ValueError(next(line.strip() for line in output.splitlines() if trouble in line))
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    total = re.search(r"([0-9]+) requests in", output)
    tail = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)\b", output)
    if rate is None or total is None or tail is None or int(total[1]) < least:
        raise ValueError(f"wrk gave no figures: {output.strip()[-500:]}")
    return {"value": float(rate[1]), "p99_ms": float(tail[1]) * UNITS[tail[2]], "requests": int(total[1])}


def check_log(question: Question, server: Server, bytes_each: float) -> None:
    """A log that is on has a line for each request; one that is off has none."""
    if (bytes_each > LINE_BYTES) != question.logged:
        raise BenchmarkError(
            f"{server.contestant.name} wrote {bytes_each:.1f} bytes of log for each request; "
            f"its access log is meant to be {'on' if question.logged else 'off'}"
        )
