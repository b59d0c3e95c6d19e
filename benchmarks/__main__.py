"""python -m benchmarks: see README.md in this folder."""

from __future__ import annotations

import os
import sys

from benchmarks import environment, machine
from benchmarks.errors import BenchmarkError
from benchmarks.options import parse_options
from benchmarks.questions import QUESTIONS


def print_list() -> None:
    for question in QUESTIONS:
        print(f"{question.key}: {question.title}")
        for contestant in question.contestants:
            print(f"    {contestant.name}: python {' '.join(contestant.command)}")


def main() -> None:
    options = parse_options()
    if options.list:
        print_list()
        return
    try:
        machine.require_all()
        python = environment.build()
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    os.chdir(environment.ROOT)
    os.execv(python, [str(python), "-m", "benchmarks.session", *sys.argv[1:]])


if __name__ == "__main__":
    main()
