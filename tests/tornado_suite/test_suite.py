"""Our HTTPServer passes Tornado's own tests, except for those that `differences.py` lists."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tornado_suite.differences import DIFFERENCES, WITH_OUR_APPLICATION

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 180


def run(*arguments, **environ):
    """The report of run.py. A test's id is that of the whole test, also if a subtest is meant."""
    found = subprocess.run(
        [sys.executable, "-m", "tests.tornado_suite.run", *arguments],
        cwd=ROOT,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    last = found.stderr[-3000:]
    assert found.returncode == 0, f"the suite did not come to its end:\n{last}"
    report = json.loads(found.stdout)
    broken = {}
    for name, error in report["broken"].items():
        broken.setdefault(name.partition(" ")[0], error)
    return {**report, "broken": broken}


def run_patiently(expected, *options):
    """The report of one run. Tests that fail unexpectedly are run again, three times at most: some give a
    client a tenth of a second, too little on a busy machine; with EMULATION it is half a second.
    """
    whole = run(*options)
    for _ in range(3):
        if unexpected := sorted(whole["broken"].keys() - expected.keys()):
            report = run(*options, *unexpected, EMULATION="1")
            assert report["skipped"] == 0, unexpected
            again = report["broken"]
            for name in unexpected:
                if name not in again:
                    del whole["broken"][name]
    return whole


@pytest.fixture(scope="module")
def report():
    return run_patiently(DIFFERENCES)


def test_what_differs_is_what_is_listed(report):
    unexpected = {name: error for name, error in report["broken"].items() if name not in DIFFERENCES}
    assert unexpected == {}


def test_what_is_listed_differs(report):
    assert DIFFERENCES.keys() - report["broken"].keys() == set()


def test_the_list_is_short_and_has_reasons():
    assert len(DIFFERENCES) <= 10
    assert all(DIFFERENCES.values())


def test_the_suite_has_run(report):
    assert report["run"] > 550
    assert report["skipped"] <= 12


def test_our_application_differs_in_what_is_listed_too():
    """In place of Tornado's own, with its handlers made lean."""
    expected = {**DIFFERENCES, **WITH_OUR_APPLICATION}
    assert run_patiently(expected, "--application")["broken"].keys() == expected.keys()
