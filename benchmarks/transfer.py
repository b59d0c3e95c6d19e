"""One large body, into a Flask view or out of one: its rate, and what the server's memory grows by."""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.contestants import Contestant
from benchmarks.processes import find_members, read_cpu, read_peak, read_resident, reset_peak
from benchmarks.questions import Question
from benchmarks.server import Server

MIB = 1024 * 1024
BLOCK = bytes(256 * 1024)
#: No server that works needs longer for a piece of the body, or for its answer.
TIMEOUT = 60
#: Goes first, so that what a server loads for its first body is not counted.
WARM_UP_MEBIBYTES = 4
#: Slowest server that is worth planning for (MiB/s).
SLOWEST = 100


def plan(options: argparse.Namespace) -> float:
    """About how many seconds a turn will take."""
    return 4 + options.mebibytes / SLOWEST


def measure(
    question: Question, contestant: Contestant, options: argparse.Namespace, log: Path
) -> dict[str, float]:
    """One turn: start, a small body, look, a large one, look again, stop."""
    transfer = TRANSFERS[question.path]
    mebibytes = min(options.mebibytes, contestant.mebibytes)
    with Server(contestant, log, pinned=question.pinned) as server:
        move(server, transfer, WARM_UP_MEBIBYTES)
        members = find_members(server.process.pid)
        for pid in members:
            reset_peak(pid)
        before, cpu = sum(map(read_resident, members)), read_cpu(server.process.pid)
        seconds = move(server, transfer, mebibytes)
        cpu = read_cpu(server.process.pid) - cpu
        growth = sum(map(read_peak, members)) - before
        return {"value": mebibytes / seconds, "growth": growth / 1024, "cpu_ms": cpu / mebibytes * 1000}


def move(server: Server, transfer: Callable[[socket.socket, int], None], mebibytes: int) -> float:
    """The seconds that it took. Raises BenchmarkError."""
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT) as sock:
            begun = time.perf_counter()
            transfer(sock, mebibytes * MIB)
            return time.perf_counter() - begun
    except (OSError, ValueError) as error:
        raise server.failure(f"failed to move {mebibytes} MiB ({error!r})") from None


def upload(sock: socket.socket, size: int) -> None:
    """Raises OSError, and ValueError: the view did not get it whole."""
    head = f"POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode())
    for _ in range(size // len(BLOCK)):
        sock.sendall(BLOCK)
    head_and_body = b""
    while data := sock.recv(len(BLOCK)):
        head_and_body += data
    check_reply(head_and_body)
    body = head_and_body.partition(b"\r\n\r\n")[2]
    # Chunked or not: one object of JSON.
    if json.loads(body[body.find(b"{") : body.rfind(b"}") + 1]) != {"size": size}:
        raise ValueError(f"sent {size} bytes, the view says {body[:200]!r}")


def download(sock: socket.socket, size: int) -> None:
    """Raises OSError, and ValueError: the reply is not whole."""
    head = f"GET /download/{size // MIB} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    sock.sendall(head.encode())
    received = b""
    while b"\r\n\r\n" not in received and (data := sock.recv(len(BLOCK))):
        received += data
    check_reply(received)
    head, _, body = received.partition(b"\r\n\r\n")
    buffer = bytearray(len(BLOCK))
    total, end = len(body), body[-5:]
    with contextlib.suppress(ConnectionResetError):
        while count := sock.recv_into(buffer):
            total += count
            end = (end + buffer[max(0, count - 5) : count])[-5:]
    if total < size or (b"chunked" in head.lower() and end != b"0\r\n\r\n"):
        raise ValueError(f"of {size} bytes, {total} came, with {bytes(end)!r} at the end")


def check_reply(received: bytes) -> None:
    """Raises ValueError: no 200."""
    if not received.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 ")):
        raise ValueError(f"the answer is {received[:200]!r}")


TRANSFERS = {"/upload": upload, "/download": download}
