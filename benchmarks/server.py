"""One contestant, from its start to its end. Everything that it started ends with it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.contestants import Contestant
from benchmarks.environment import PYTHON, ROOT
from benchmarks.errors import BenchmarkError

START_TIMEOUT = 20
STOP_TIMEOUT = 10
#: Variables that would set a server up behind our back.
FOREIGN = ("WATERSPOUT_", "GRANIAN_", "UVICORN_", "GUNICORN_", "WEB_CONCURRENCY", "FLASK_", "TORNADO_")
TAIL_LINES = 20


class Server:
    """A context: listening when entered, gone when left. Its output goes to `log`."""

    def __init__(self, contestant: Contestant, log: Path, *, pinned: bool) -> None:
        self.contestant = contestant
        self.log = log
        self.port = find_port()
        self.core = machine.server_core() if pinned else None

    def __enter__(self) -> Server:
        self.deadline = time.monotonic() + START_TIMEOUT
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                self.build_command(),
                cwd=ROOT,
                env={key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            self.wait_until_listening()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def build_command(self) -> list[str]:
        pin = [] if self.core is None else ["taskset", "-c", str(self.core)]
        values = {"port": self.port, "cores": len(machine.cores())}
        return [*pin, str(PYTHON), *(part.format(**values) for part in self.contestant.command)]

    def wait_until_listening(self) -> None:
        while True:
            if is_listening(self.port):
                return
            if self.process.poll() is not None:
                raise self.failure(f"ended at its start with status {self.process.returncode}")
            if time.monotonic() > self.deadline:
                raise self.failure(f"does not listen after {START_TIMEOUT} s")
            time.sleep(0.05)

    def check(self, path: str, expected: object) -> None:
        """One real request. Raises BenchmarkError unless it is answered as expected."""
        try:
            status, body = fetch(self.port, path, timeout=START_TIMEOUT)
        except (OSError, http.client.HTTPException) as error:
            raise self.failure(f"gave no answer to GET {path}: {error!r}") from None
        if status != 200 or read_body(body, expected) != expected:
            raise self.failure(f"answered GET {path} with {status} and {body[:200]!r}, not {expected!r}")

    def failure(self, what: str) -> BenchmarkError:
        """An error with the end of what the server said."""
        said = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return BenchmarkError("\n  ".join([f"{self.contestant.name} {what}; the end of its log:", *said]))

    def stop(self) -> None:
        """Ask, wait, and end by force whatever of its process group is left."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_TIMEOUT)


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def find_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def fetch(port: int, path: str, timeout: float) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    with contextlib.closing(connection):
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()


def read_body(body: bytes, expected: object) -> object:
    """Text, or what the JSON says where JSON is expected; None if it is no such thing."""
    try:
        return body.decode() if isinstance(expected, str) else json.loads(body)
    except ValueError:
        return None
