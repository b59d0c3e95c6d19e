"""The service as people start it: `python -m app`, a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import first_run
from app.settings import ROOT
from tests.server import choose_combination

# Both places that the Flask app can run in.
FORMS = {"process": ("--wsgi-workers", "1"), "threads": ("--wsgi-workers", "0")}

# The incidents and components that an example begins with.
EXAMPLES = tomllib.loads(first_run.EXAMPLES.read_text())["incidents"]
COMPONENTS = tomllib.loads(first_run.EXAMPLES.read_text())["components"]

START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0


@contextmanager
def serve_board(folder: Path, *arguments: str) -> Iterator[str]:
    """Serve the example board, all of it in the folder; yield its address. It must stop when told to."""
    with start_board(folder, *arguments) as (server, log):
        yield wait_for_address(server, log)
        server.send_signal(signal.SIGTERM)
        assert server.wait(STOP_TIMEOUT) == 0, log.read_text()


@contextmanager
def start_board(folder: Path, *arguments: str, **environ: str) -> Iterator[tuple[subprocess.Popen, Path]]:
    """Start `python -m app`; yield the process, and the file that its messages go to."""
    log = folder / "server.log"
    # At the normal priority: see tests.server.environment.
    environ = {"BOARD_FOLDER": str(folder), "WATERSPOUT_WSGI_NICE": "0", **environ}
    with log.open("wb") as messages:
        server = subprocess.Popen(
            # The last --port counts, and the last --server.
            [sys.executable, "-m", "app", "--port", "0", *choose_combination(), *arguments],
            cwd=ROOT,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
        )
    try:
        yield server, log
    finally:
        server.kill()
        server.wait()


def wait_for_address(server: subprocess.Popen, log: Path) -> str:
    """Return the address that the server says it serves, once it does."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        address = re.search(r"serves (http://127\.0\.0\.1:\d+)", log.read_text())
        if address:
            return address.group(1)
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise AssertionError(f"the server did not start: {log.read_text()}")
