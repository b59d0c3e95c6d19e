"""Mutated requests against our server, for a while: `python -m tests.http.fuzz --seconds 60 --seed 1`.

Every connection must be answered as `reference.py` says: the same requests, in order, and no other; then
refused, or closed. The server must not die, log no exception, and serve a new client at any time. Inputs
that show otherwise are printed as Python literals; then the exit code is 1.
"""

import argparse
import asyncio
import itertools
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.http.case import PROBE
from tests.http.client import CONNECTIONS, Outcome, Plan, talk, talk_all
from tests.http.corpus import CASES
from tests.http.mutate import mutate, split
from tests.http.recorder import LOOPS, describe_body, running
from tests.http.reference import CLOSED, REFUSED, Seen, Verdict, read_stream
from tests.http.verdict import read_seen

#: Larger cases are slow to send, and seldom become another case by one change.
_LARGEST = 4096
#: What no log may contain.
_WORDS = (b"Traceback", b"Uncaught", b"never retrieved", b"never awaited")
_ENOUGH = 10
_PAUSE = 0.001


@dataclass
class Failure:
    said: str
    pieces: list[bytes] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.said}\n    {self.pieces!r}"


def judge(data: bytes, outcome: Outcome) -> str | None:
    """What is wrong with the answer to `data`, or None."""
    verdict = read_stream(data)
    answered = [reply for reply in outcome.replies if reply.status == 200]
    for number, reply in enumerate(answered):
        if number >= len(verdict.requests):
            return f"ran a request that is none: {read_seen(reply)}"
        if said := _differs(verdict.requests[number], read_seen(reply)):
            return f"request {number}: {said}"
    refused = [reply.status for reply in outcome.replies if reply.status != 200]
    return _judge_end(verdict, outcome, len(answered), refused)


def _judge_end(verdict: Verdict, outcome: Outcome, answered: int, refused: list[int]) -> str | None:
    ends = ("eof", "reset") if verdict.end == CLOSED else ("eof",)
    if outcome.ending not in ends:
        return f"ends with {outcome.ending}"
    if answered < len(verdict.requests):
        return f"{answered} of {len(verdict.requests)} requests, then {refused}"
    if (verdict.end == REFUSED) != (len(refused) == 1) or any(
        status >= 500 and status != 505 for status in refused
    ):
        return f"{refused} where the reference says {verdict.end}"
    return None


def _differs(request: Seen, seen: dict | None) -> str | None:
    assert seen is not None
    expected = {"method": request.method, "target": request.target, **describe_body(request.body)}
    found = {key: seen.get(key) for key in expected}
    return None if found == expected else f"{found} where the reference says {expected}"


def make_plan(pieces: list[bytes]) -> Plan:
    """Wait for what the reference says; then close the sending side, unless the server must close."""
    verdict = read_stream(b"".join(pieces))
    replies = len(verdict.requests) + (verdict.end == REFUSED)
    then = "eof" if verdict.end in (REFUSED, CLOSED) else "half-close"
    return Plan(pieces, replies, then, [request.method for request in verdict.requests], _PAUSE)


def run_batch(port: int, inputs: list[list[bytes]]) -> list[Failure]:
    """All of `inputs` at once, each on its own connection; then one more client."""
    outcomes = asyncio.run(talk_all(port, map(make_plan, inputs)))
    judged = zip(inputs, outcomes, strict=True)
    failures = [Failure(said, pieces) for pieces, it in judged if (said := judge(b"".join(pieces), it))]
    probe = asyncio.run(talk(port, Plan([PROBE], 1, "half-close")))
    if [reply.status for reply in probe.replies] != [200]:
        failures.append(Failure(f"does not serve a new client: {probe}", [b"".join(it) for it in inputs]))
    return failures


def fuzz(seconds: float, seed: int, loop: str) -> tuple[int, list[Failure]]:
    """How many inputs there were, and the failures that they showed."""
    draw = random.Random(seed)
    seeds = [case.raw for case in CASES if len(case.raw) <= _LARGEST]
    end = time.monotonic() + seconds
    failures: list[Failure] = []
    with tempfile.TemporaryFile() as log, running("ours", loop, log) as (port, process):
        for count in itertools.count(1):  # noqa: B007 - it is returned in the end
            inputs = [split(draw, mutate(draw, seeds)) for _ in range(CONNECTIONS)]
            failures += run_batch(port, inputs) + _judge_server(process, log, inputs)
            if time.monotonic() > end or len(failures) >= _ENOUGH or process.poll() is not None:
                break
    return count * CONNECTIONS, failures


def _judge_server(
    process: subprocess.Popen[bytes], log: IO[bytes], inputs: list[list[bytes]]
) -> list[Failure]:
    """Check whether it lives, and what it has logged since the last time."""
    failures = []
    if process.poll() is not None:
        failures.append(Failure(f"died with {process.returncode}", [b"".join(it) for it in inputs]))
    log.seek(0)
    said = log.read()
    log.seek(0)
    log.truncate()
    if any(word in said for word in _WORDS):
        failures.append(Failure(f"logged {said.decode(errors='replace')}", [b"".join(it) for it in inputs]))
    return failures


def save(failures: list[Failure], folder: Path) -> None:
    """Write each input to a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, failure in enumerate(failures):
        (folder / f"{number}.bin").write_bytes(b"".join(failure.pieces))
        (folder / f"{number}.txt").write_text(f"{failure}\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(1, 1 << 32))
    parser.add_argument("--loop", choices=LOOPS, default="asyncio")
    parser.add_argument("--save", type=Path, help="a folder for the inputs that showed something")
    options = parser.parse_args()
    print(f"seed {options.seed}, {options.loop}", flush=True)
    count, failures = fuzz(options.seconds, options.seed, options.loop)
    for failure in failures:
        print(failure)
    if options.save and failures:
        save(failures, options.save)
    print(f"{count} inputs, {len(failures)} of them showed something")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
