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
        run_wrk(server, question, options.connections, WARM_UP_SECONDS)
        size, cpu = log.stat().st_size, read_cpu(server.process.pid)
        found = run_wrk(server, question, options.connections, options.seconds)
        check_log(question, server, (log.stat().st_size - size) / found["requests"])
        cpu = read_cpu(server.process.pid) - cpu
        return {**found, "cpu_us": cpu / found["requests"] * 1e6, "busy": cpu / options.seconds}


def run_wrk(server: Server, question: Question, connections: int, seconds: int) -> dict[str, float]:
    pin = ["taskset", "-c", str(machine.wrk_core())] if question.pinned else []
    url = f"http://127.0.0.1:{server.port}{question.path}"
    command = [*pin, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + GRACE)
        return parse_wrk(done.stdout + done.stderr)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise server.failure(f"failed under load ({error})") from None


def parse_wrk(output: str) -> dict[str, float]:
    """Figures of one run of wrk. Raises ValueError for one that says of a failed request, or says nothing."""
    for trouble in ("Non-2xx", "Socket errors"):
        if trouble in output:
            raise ValueError(next(line.strip() for line in output.splitlines() if trouble in line))
    rate = re.search(r"Requests/sec:\s+([0-9.]+)", output)
    total = re.search(r"([0-9]+) requests in", output)
    tail = re.search(r"99%\s+([0-9.]+)(us|ms|s|m)\b", output)
    if rate is None or total is None or tail is None or int(total[1]) == 0:
        raise ValueError(f"wrk gave no figures: {output.strip()[-500:]}")
    return {"value": float(rate[1]), "p99_ms": float(tail[1]) * UNITS[tail[2]], "requests": int(total[1])}


def check_log(question: Question, server: Server, bytes_each: float) -> None:
    """A log that is on has a line for each request; one that is off has none."""
    if (bytes_each > LINE_BYTES) != question.logged:
        raise BenchmarkError(
            f"{server.contestant.name} wrote {bytes_each:.1f} bytes of log for each request; "
            f"its access log is meant to be {'on' if question.logged else 'off'}"
        )
