"""How much of a native route is left while Flask views are busy, by two wrks at a time."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.questions import Question
from benchmarks.server import Server
from benchmarks.throughput import WARM_UP_SECONDS, read_wrk, run_wrk, start_wrk

#: Clients of the native route; those of the Flask view are as many as --connections says.
NATIVE_CONNECTIONS = 4


def plan(options: argparse.Namespace) -> float:
    """About how many seconds a turn will take."""
    return 2 * (options.seconds + WARM_UP_SECONDS) + 4


def measure(
    question: Question, contestant: Contestant, options: argparse.Namespace, log: Path
) -> dict[str, float]:
    """One turn: start, ask both sides once, measure the native one idle, then with the other side loaded."""
    with Server(contestant, log, pinned=question.pinned) as server:
        server.check(question.path, question.expected)
        server.check(question.load_path, question.load_expected)
        native = (server, question.path, NATIVE_CONNECTIONS)
        run_wrk(*native, WARM_UP_SECONDS, pinned=question.pinned)
        idle = run_wrk(*native, options.seconds, pinned=question.pinned)
        seconds = WARM_UP_SECONDS + options.seconds
        load = start_wrk(server, question.load_path, options.connections, seconds, pinned=question.pinned)
        try:
            time.sleep(WARM_UP_SECONDS)
            loaded = run_wrk(*native, options.seconds, pinned=question.pinned)
            # The recipe's threads begin all that is queued before they end any of it.
            flask = read_wrk(server, load, seconds, least=0)
        finally:
            load.kill()
            load.communicate()
        return build_sample(idle, loaded, flask)


def build_sample(
    idle: dict[str, float], loaded: dict[str, float], flask: dict[str, float]
) -> dict[str, float]:
    """What of the three runs of wrk is kept; `value` is the share of its idle throughput, in percent."""
    return {
        "value": loaded["value"] / idle["value"] * 100,
        "idle": idle["value"],
        "loaded": loaded["value"],
        "idle_p99_ms": idle["p99_ms"],
        "loaded_p99_ms": loaded["p99_ms"],
        "flask": flask["value"],
    }
