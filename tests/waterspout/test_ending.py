"""The end of a process in which threads of the app still run."""

import subprocess
import sys

import pytest

CODE = """
import sys, threading, time
from waterspout.ending import end_by

before = threading.enumerate()
threading.Thread(target=time.sleep, args=({work},)).start()
end_by(time.monotonic() + {patience}, before, 3)
time.sleep({after})
print("gone on")
sys.exit(5)
"""


def run(**seconds):
    return subprocess.run(
        [sys.executable, "-c", CODE.format(**seconds)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_what_still_runs_at_the_deadline_is_cut():
    done = run(work=60, patience=0.2, after=0)
    assert (done.returncode, done.stdout) == (3, "gone on\n")  # what was printed is not lost
    assert "threads that the app has started still run" in done.stderr


@pytest.mark.parametrize("after", [0, 1.5])
def test_what_has_ended_by_then_changes_nothing(after):
    """Nor for a program that goes on, beyond the deadline."""
    done = run(work=0.1, patience=1, after=after)
    assert (done.returncode, done.stdout, done.stderr) == (5, "gone on\n", "")
