"""Ordinary Flask views."""

import time
from collections.abc import Iterator

from flask import Flask, Response, request

app = Flask(__name__)
PIECE = 64 * 1024


@app.get("/")
def index() -> str:
    return "Hello from Flask"


@app.get("/json")
def hello() -> dict[str, str]:
    return {"message": "Hello, world"}


@app.get("/burn")
def burn() -> str:
    """Computes for 20 ms of this thread's own time, however long it waits for a core or the interpreter."""
    end = time.thread_time() + 0.02
    while time.thread_time() < end:
        sum(number * number for number in range(500))
    return "burnt"


@app.get("/sleep")
def sleep() -> str:
    """Waits, as a view does that asks something slow."""
    time.sleep(0.5)
    return "slept"


@app.post("/upload")
def upload() -> dict[str, int]:
    size = 0
    while piece := request.stream.read(PIECE):
        size += len(piece)
    return {"size": size}


@app.get("/download/<int:mebibytes>")
def download(mebibytes: int) -> Response:
    def pieces() -> Iterator[bytes]:
        for _ in range(mebibytes * 1024 * 1024 // PIECE):
            yield bytes(PIECE)

    return Response(pieces(), mimetype="application/octet-stream")
