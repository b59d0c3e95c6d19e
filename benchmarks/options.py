"""The command line of `python -m benchmarks`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.environment import ROOT
from benchmarks.questions import QUESTIONS

#: With --quick: is everything still measurable? Its figures mean nothing, so they go where git doesn't look.
QUICK = {"rounds": 1, "seconds": 1, "sockets": 300, "mebibytes": 32, "output": ROOT / "var" / "benchmarks"}
FULL = {
    "rounds": 5,
    "seconds": 4,
    "sockets": 3000,
    "mebibytes": 512,
    "output": ROOT / "benchmarks" / "results",
}


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def question_keys(text: str) -> list[str]:
    """The named questions, in the table's order."""
    known = [question.key for question in QUESTIONS]
    named = [key.strip() for key in text.split(",")]
    for key in named:
        if key not in known:
            raise argparse.ArgumentTypeError(f"{key!r} is none of {', '.join(known)}")
    return [key for key in known if key in named]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Waterspout beside its peers, and write a table and charts.",
    )
    parser.add_argument("--rounds", type=positive, help=f"default: {FULL['rounds']}")
    parser.add_argument("--seconds", type=positive, help=f"of each measurement; default: {FULL['seconds']}")
    parser.add_argument("--connections", type=positive, default=32, help="of wrk; default: 32")
    parser.add_argument("--sockets", type=positive, help=f"idle WebSockets; default: {FULL['sockets']}")
    parser.add_argument(
        "--mebibytes", type=positive, help=f"of an upload or a download; default: {FULL['mebibytes']}"
    )
    parser.add_argument("--only", type=question_keys, metavar="KEY,...", help="these questions; see --list")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: benchmarks/results")
    parser.add_argument("--quick", action="store_true", help="one round of 1 s, written to var/benchmarks")
    parser.add_argument("--list", action="store_true", help="show questions and contestants, measure nothing")
    return parser


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options, with the defaults that --quick moves filled in."""
    options = build_parser().parse_args(arguments)
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    options.only = options.only or [question.key for question in QUESTIONS]
    options.output = options.output.resolve()
    return options
