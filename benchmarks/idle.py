"""Memory for an idle WebSocket, from /proc: what a server grows by, divided by its connections."""

from __future__ import annotations

import argparse
import contextlib
import resource
import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.environment import PYTHON, ROOT
from benchmarks.errors import Unprepared
from benchmarks.processes import read_memory
from benchmarks.questions import Question
from benchmarks.server import Server

#: Connections before the first look, so that what a server loads for its first one is not counted.
WARM_UP_SOCKETS = 20
SETTLE_SECONDS = 1
CLIENTS_TIMEOUT = 60
#: Descriptors that a server has beside its connections; granian's and uvicorn's need a few dozen.
SPARE_DESCRIPTORS = 200


def plan(options: argparse.Namespace) -> float:
    """About how many seconds a turn will take."""
    return 6 + options.sockets / 1000


def measure(
    question: Question, contestant: Contestant, options: argparse.Namespace, log: Path
) -> dict[str, float]:
    """One turn: start, connect a few and leave, look, connect all, look again, stop."""
    raise_descriptor_limit(options.sockets + SPARE_DESCRIPTORS)
    with Server(contestant, log, pinned=question.pinned) as server:
        with clients(server, question.path, WARM_UP_SOCKETS):
            pass
        time.sleep(SETTLE_SECONDS)
        before = read_memory(server.process.pid)
        with clients(server, question.path, options.sockets):
            time.sleep(SETTLE_SECONDS)
            after = read_memory(server.process.pid)
        return {"value": (after - before) / options.sockets}


def raise_descriptor_limit(needed: int) -> None:
    """For this process and those that it starts. Raises Unprepared."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise Unprepared(f"{needed} open files are needed and {hard} allowed: ulimit -Hn, or --sockets")
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


@contextlib.contextmanager
def clients(server: Server, path: str, count: int) -> Iterator[None]:
    """Inside, `count` WebSockets are open and idle; when it is left, each is asked whether it is alive."""
    process = subprocess.Popen(
        [str(PYTHON), "-m", "benchmarks.clients", str(server.port), path, str(count)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        expect(process, "open", server)
        yield
        process.stdin.write("\n")
        process.stdin.flush()
        expect(process, "alive", server)
    finally:
        process.kill()
        process.communicate()


def expect(process: subprocess.Popen[str], word: str, server: Server) -> None:
    """The clients' next line is `word`. Raises BenchmarkError."""
    readable, _, _ = select.select([process.stdout], [], [], CLIENTS_TIMEOUT)
    said = process.stdout.readline().strip() if readable else f"nothing for {CLIENTS_TIMEOUT} s"
    if said != word:
        raise server.failure(f"did not serve its WebSocket clients, who said: {said}")
