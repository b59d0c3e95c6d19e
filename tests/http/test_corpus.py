"""Every case of the corpus, on our server and on Tornado's, sent in several ways."""

import asyncio
import itertools
import os
import random
import re

import pytest

from tests.http.case import Case
from tests.http.client import DEADLINE, Plan, talk, talk_all
from tests.http.corpus import CASES
from tests.http.recorder import running
from tests.http.reference import CLOSED, REFUSED, read_stream
from tests.http.tornado_ways import unused_patterns
from tests.http.verdict import difference, make_plan, read_seen

#: Sent byte by byte, if it is not longer.
_SHORT = 200
#: Between two pieces, so that they arrive as two (seconds).
_PAUSE = 0.003
#: A shorter deadline for cases where Tornado differs: many of them are never answered (seconds).
_IMPATIENT = 3.0
_MOST_PIECES = 200
#: Another seed: SEED=5 pytest tests/http/test_corpus.py
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 32)


def _whole(case: Case) -> list[bytes]:
    return [case.raw]


def _byte_by_byte(case: Case) -> list[bytes]:
    return [case.raw[at : at + 1] for at in range(len(case.raw))] if len(case.raw) <= _SHORT else []


def _at_random(case: Case) -> list[bytes]:
    size = len(case.raw)
    draw = random.Random(f"{SEED} {case.id}")
    return _split(case.raw, draw.choices(range(size + 1), k=draw.randint(1, 8)))


def _at_line_ends(case: Case) -> list[bytes]:
    """Before and after every CR and LF: where a parser that looks for both can lose one."""
    ends = [place for found in re.finditer(rb"[\r\n]", case.raw) for place in found.span()]
    return _split(case.raw, ends[:_MOST_PIECES]) if len(case.raw) > _SHORT else []


def _split(raw: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, *places, len(raw)})
    return [raw[start:end] for start, end in itertools.pairwise(edges)]


WAYS = {
    "whole": _whole,
    "byte-by-byte": _byte_by_byte,
    "at-random": _at_random,
    "at-line-ends": _at_line_ends,
}


def judge(kind: str, port: int, way: str) -> dict[str, str | None]:
    """Case id -> how the server differs from its case, or None."""
    chosen = [(case, pieces) for case in CASES if (pieces := WAYS[way](case)) or way == "whole"]

    def choose_deadline(case) -> float:
        return DEADLINE if kind == "ours" or case.tornado == "same" else _IMPATIENT

    plans = [make_plan(case, pieces, _PAUSE, choose_deadline(case)) for case, pieces in chosen]
    outcomes = asyncio.run(talk_all(port, plans))
    return {
        case.id: difference(case, outcome, strict=kind == "ours")
        for (case, _), outcome in zip(chosen, outcomes, strict=True)
    }


def count_canaries(port: int) -> int:
    """How many requests the server has run that must never run."""
    outcome = asyncio.run(talk(port, Plan([], 0, "probe")))
    seen = read_seen(outcome.replies[0])
    assert seen is not None
    return seen["canaries"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_ours_does_what_every_case_says(loop, way):
    with running("ours", loop) as (port, process):
        found = judge("ours", port, way)
        assert process.poll() is None
        canaries = count_canaries(port)
    wrong = [f"{id}: {said}" for id, said in found.items() if said]
    assert wrong == [], f"seed {SEED}"
    assert canaries == 0, f"run behind a refusal or a last request, and not answered; seed {SEED}"


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_ours_answers_all_that_was_whole_when_the_client_half_closed(loop):
    chosen = [case for case in CASES if case.accepted and not case.refused and not case.incomplete]
    plans = [
        Plan([case.raw], len(case.requests), "eof", [seen.method for seen in case.requests], early=True)
        for case in chosen
    ]
    with running("ours", loop) as (port, _):
        outcomes = asyncio.run(talk_all(port, plans))
    short = [
        f"{case.id}: {len(outcome.replies)} of {len(case.requests)} replies, {outcome.ending}"
        for case, outcome in zip(chosen, outcomes, strict=True)
        if len(outcome.replies) != len(case.requests) or outcome.ending not in ("eof", "reset")
    ]
    assert short == []


@pytest.mark.parametrize("way", WAYS)
def test_tornado_differs_where_it_is_said_and_nowhere_else(way):
    with running("tornado", "asyncio") as (port, _):
        found = judge("tornado", port, way)
    own_ways = {case.id: case.tornado for case in CASES if case.tornado != "same"}
    wrong = [f"{id}: {said}" for id, said in found.items() if said and id not in own_ways]
    if way == "whole":  # in pieces some of them depend on timing
        wrong += [f"{id}: the same, though {own_ways[id]}" for id in own_ways if not found[id]]
    assert wrong == [], f"seed {SEED}"


def test_corpus_is_large_and_every_case_has_its_own_name_and_a_reason():
    ids = [case.id for case in CASES]
    assert len(ids) >= 400
    assert sorted(set(ids)) == sorted(ids)
    assert [case.id for case in CASES if not case.reason or not case.tornado] == []
    assert unused_patterns(ids) == []


def test_reference_agrees_with_every_case():
    wrong = []
    for case in CASES:
        requests, end = read_stream(case.raw)
        ends = (end == REFUSED, end == CLOSED)
        expected = [(seen.method, seen.target, seen.body) for seen in case.requests]
        if [tuple(seen) for seen in requests] != expected or ends != (bool(case.refused), case.closes):
            wrong.append(f"{case.id}: {end} behind {len(requests)}")
    assert wrong == []


def test_every_case_says_what_becomes_of_it():
    unclear = [
        case.id
        for case in CASES
        if (case.refused is not None) + case.incomplete + case.closes > 1
        or not (case.accepted or case.refused or case.incomplete)
    ]
    assert unclear == []
