"""The run: every question, round by round, then the files. Runs inside .venv-bench.

Each question's results are written when it is answered, so an interrupted run keeps what it has; those of
questions that were not asked stay as they are.
"""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from benchmarks import chart, idle, isolation, machine, report, throughput, transfer
from benchmarks.contestants import Contestant
from benchmarks.environment import PYTHON, ROOT
from benchmarks.errors import BenchmarkError
from benchmarks.figures import order
from benchmarks.options import parse_options
from benchmarks.progress import Progress
from benchmarks.questions import QUESTIONS, Question

METHODS: dict[str, ModuleType] = {
    "throughput": throughput,
    "idle": idle,
    "isolation": isolation,
    "transfer": transfer,
}

#: What is said of a question's load, in the words of its options.
LOADS = {
    "throughput": "{seconds} s, {connections} connections",
    "idle": "{sockets} connections",
    "isolation": "{seconds} s, 4 native connections and {connections} on Flask",
    "transfer": "{mebibytes} MiB where no other size stands",
}


def is_there(contestant: Contestant) -> bool:
    """Whether what it needs can be imported. Says so if not."""
    if contestant.needs_nginx and machine.find_nginx() is None:
        print(f"{contestant.name}: nginx is not there, left out", file=sys.stderr)
        return False
    if not contestant.needs:
        return True
    module, _, name = contestant.needs.partition(":")
    command = [str(PYTHON), "-c", f"from {module} import {name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30)
    if done.returncode != 0:
        print(f"{contestant.name}: {contestant.needs} is not there yet, left out", file=sys.stderr)
    return done.returncode == 0


def answer(
    question: Question,
    contestants: list[Contestant],
    options: argparse.Namespace,
    progress: Progress,
    log: Path,
) -> dict[str, list[dict[str, float]]]:
    """All rounds of one question: for each contestant its samples, in the order of the rounds."""
    method = METHODS[question.measure]
    samples: dict[str, list[dict[str, float]]] = {contestant.name: [] for contestant in contestants}
    for number in range(options.rounds):
        for contestant in order(contestants, number):
            progress.begin(f"{question.key}, round {number + 1} of {options.rounds}: {contestant.name}")
            sample = method.measure(question, contestant, options, log)
            samples[contestant.name].append(sample)
            said = report.describe(sample, question.unit, pinned=question.pinned)
            progress.end(said, method.plan(options))
    return samples


def build_result(
    question: Question, samples: dict[str, list[dict[str, float]]], options: argparse.Namespace
) -> dict[str, object]:
    """All that the report and the chart need of one question, as JSON."""
    return {
        "title": question.title,
        "unit": question.unit,
        "pinned": question.pinned,
        "baseline": question.baseline,
        "peer": question.peer,
        "command": shlex.join(["python3", "-m", "benchmarks", *sys.argv[1:]]),
        "rounds": options.rounds,
        "load": LOADS[question.measure].format(**vars(options)),
        "left_out": [each.name for each in question.contestants if each.name not in samples],
        "machine": machine.describe(),
        "samples": samples,
    }


def load_results(folder: Path) -> dict[str, dict]:
    path = folder / "results.json"
    return json.loads(path.read_text()) if path.exists() else {}


def write_results(folder: Path, key: str, result: dict[str, object]) -> None:
    """Put one question's result beside those of the others, and write all files anew."""
    results = {**load_results(folder), key: result}
    results = {question.key: results[question.key] for question in QUESTIONS if question.key in results}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "RESULTS.md").write_text(report.build_report(results))
    chart.write(folder / f"{key}.svg", results[key])


def run(options: argparse.Namespace) -> None:
    asked = [question for question in QUESTIONS if question.key in options.only]
    present = {question.key: list(filter(is_there, question.contestants)) for question in asked}
    planned = sum(len(present[each.key]) * METHODS[each.measure].plan(options) for each in asked)
    progress = Progress(planned * options.rounds)
    with tempfile.TemporaryDirectory(prefix="waterspout-bench-") as folder:
        for question in asked:
            samples = answer(question, present[question.key], options, progress, Path(folder) / "server.log")
            result = build_result(question, samples, options)
            write_results(options.output, question.key, result)
            print(f"\n{question.title}\n\n{report.build_table(result)}", flush=True)
    print(f"written to {options.output}")


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        run(parse_options())
    except BenchmarkError as error:
        print(f"\nbenchmarks: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("\nbenchmarks: interrupted; all servers are stopped", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
