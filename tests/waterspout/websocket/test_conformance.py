"""Autobahn's cases, as kosoku plays them, against an echo server in a separate process.

By default those about behaviour, 247 of them. With WATERSPOUT_ALL_CASES=1 those about speed, too: large and
many messages (9) and compressed ones (12, 13), 517 in all, which take minutes.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from kosoku import FailureError, run_fuzzingclient

from tests.waterspout.websocket.serving import SERVERS, TORNADO

ROOT = Path(__file__).resolve().parents[3]
SPEED = ["9.*", "12.*", "13.*"]
#: RFC 6455 does not say what these should be.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


@pytest.fixture
def echo():
    """Starts an echo server, and returns its address."""
    started = []

    def start(server, kind):
        command = [sys.executable, "-m", "tests.waterspout.websocket.echo", server, kind]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE))
        return f"ws://127.0.0.1:{int(started[-1].stdout.readline())}/"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def play(address, cases=None, exclude=None, concurrency=16):
    async def within():
        return await run_fuzzingclient(address, cases, exclude, concurrency=concurrency)

    try:
        return asyncio.run(within())
    except FailureError as failure:
        return failure.results


def verdicts(results):
    return {each.case_id: (each.behavior.value, each.behavior_close.value) for each in results}


def not_perfect(results):
    return {case: verdict for case, verdict in verdicts(results).items() if verdict != ("OK", "OK")}


@pytest.mark.parametrize("server", SERVERS)
def test_behaviour(echo, server):
    results = play(echo(server, "ours"), exclude=SPEED)
    assert len(results) > 240
    assert not_perfect(results) == dict.fromkeys(INFORMATIONAL, ("INFORMATIONAL", "INFORMATIONAL"))


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.skipif(not os.environ.get("WATERSPOUT_ALL_CASES"), reason="minutes: WATERSPOUT_ALL_CASES=1")
def test_large_and_many_messages(echo, server):
    results = play(echo(server, "ours"), cases=SPEED, concurrency=3)
    assert len(results) > 260
    assert not_perfect(results) == {}


def test_tornados_own_protocol_fails_some(echo):
    """Otherwise these tests would prove nothing."""
    results = play(echo(TORNADO, "stock"), cases=["6.4.*", "7.*"])
    counted = Counter(behavior for behavior, _ in verdicts(results).values())
    assert (counted["FAILED"], counted["NON-STRICT"]) == (9, 4)
