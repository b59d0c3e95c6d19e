"""What an app saw, written where a test can read it: the app may live in another process than the test's."""

import json
import os
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs

GATE_DEADLINE = 20.0


def folder():
    return Path(os.environ["WITNESS_FOLDER"])


def parameter(environ, name, default=""):
    """One value of the query string."""
    return parse_qs(environ["QUERY_STRING"], keep_blank_values=True).get(name, [default])[0]


def note(kind, environ, **facts):
    """Append one line to the notes of this kind, under the id that the test gave in the query string."""
    facts |= {"id": parameter(environ, "id"), "thread": threading.get_ident(), "pid": os.getpid()}
    line = json.dumps(facts).encode() + b"\n"
    # One write in append mode: lines of several threads and processes never mix.
    descriptor = os.open(folder() / f"{kind}.notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def wait_for_gate(environ):
    """Block until the test opens the gate of this request, or for a bounded time."""
    gate = folder() / f"{parameter(environ, 'id')}.gate"
    deadline = time.monotonic() + GATE_DEADLINE
    while not gate.exists() and time.monotonic() < deadline:
        time.sleep(0.01)


class Counter:
    """A number that the test can read while the app goes on counting."""

    def __init__(self, environ):
        self._path = folder() / f"{parameter(environ, 'id')}.count"
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
        self.value = 0

    def add(self, amount):
        self.value += amount
        os.pwrite(self._descriptor, b"%020d" % self.value, 0)

    def close(self):
        os.close(self._descriptor)
