"""The fuzzer, for as long as a test may take; `make fuzz` for longer."""

import random
import subprocess
import sys

import pytest

from tests.http.client import Outcome, Reply
from tests.http.fuzz import judge

_SECONDS = 10


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_mutated_requests_show_nothing(loop):
    seed = random.randrange(1, 1 << 32)
    command = [sys.executable, "-m", "tests.http.fuzz", "--seconds", str(_SECONDS / 2), "--seed", str(seed)]
    run = subprocess.run([*command, "--loop", loop], capture_output=True, text=True, timeout=90, check=False)
    print(run.stdout[:10_000])
    assert run.returncode == 0, f"seed {seed}\n{run.stdout[:4000]}{run.stderr[-2000:]}"


def test_fuzzer_tells_a_request_that_ran_and_should_not():
    smuggled = Reply(200, [], b'{"method": "GET", "target": "/", "body": ""}')
    assert "none" in (judge(b"GET /\r\n\r\n", Outcome([smuggled], ending="eof")) or "")


def test_fuzzer_tells_a_request_that_did_not_run():
    assert judge(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Outcome(ending="eof"))


def test_fuzzer_tells_a_connection_that_hangs():
    assert judge(b"GET", Outcome(ending="hang"))
