"""A server that answers every request with what it saw of it.

`python -m tests.http.recorder ours|tornado asyncio|uvloop` prints its port, and ends when its stdin does.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from tornado import httpserver
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    HTTPServerRequest,
    ResponseStartLine,
)
from tornado.netutil import bind_sockets

from tests.http.case import CANARY_TARGET, MAX_BODY
from waterspout.http import HTTPServer

#: A body larger than this is reported by its hash.
_LARGE = 16 * 1024
SERVERS = ("ours", "tornado")
LOOPS = ("asyncio", "uvloop")


class Recorder(HTTPServerConnectionDelegate):
    """`builds_request`: make an `HTTPServerRequest`, as all of Tornado's applications do: it checks Host.
    `canaries`: how many requests that must never be run began, whether they were answered or not.
    """

    def __init__(self, builds_request: bool):
        self.builds_request = builds_request
        self.canaries = 0

    def start_request(self, server_conn: object, request_conn: Any) -> HTTPMessageDelegate:
        return _Message(request_conn, self)


class _Message(HTTPMessageDelegate):
    def __init__(self, connection: Any, recorder: Recorder):
        self._connection = connection
        self._recorder = recorder
        self._pieces: list[bytes] = []

    def headers_received(self, start_line: Any, headers: HTTPHeaders) -> None:
        self._line, self._fields = start_line, list(headers.get_all())
        self._recorder.canaries += start_line.path == CANARY_TARGET
        if self._recorder.builds_request:
            HTTPServerRequest(connection=self._connection, start_line=start_line, headers=headers)

    def data_received(self, chunk: bytes) -> None:
        self._pieces.append(bytes(chunk))

    def finish(self) -> None:
        seen = json.dumps(self._seen()).encode()
        headers = HTTPHeaders({"Content-Type": "application/json", "Content-Length": str(len(seen))})
        if self._line.method == "HEAD":  # its reply has no body to say it in
            headers["X-Seen"] = seen.decode()
        chunk = b"" if self._line.method == "HEAD" else seen
        self._connection.write_headers(ResponseStartLine("HTTP/1.1", 200, "OK"), headers, chunk)
        self._connection.finish()

    def _seen(self) -> dict[str, Any]:
        method, target, version = self._line
        seen = {"method": method, "target": target, "version": version, "headers": self._fields}
        seen["canaries"] = self._recorder.canaries
        return seen | describe_body(b"".join(self._pieces))


def describe_body(body: bytes) -> dict[str, Any]:
    """A body as JSON can hold it; a large one as its length and hash."""
    if len(body) > _LARGE:
        return {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return {"body": base64.b64encode(body).decode()}


async def serve(kind: str) -> None:
    """Serve on a free port until standard input ends."""
    make: Any = HTTPServer if kind == "ours" else httpserver.HTTPServer
    server = make(Recorder(kind != "ours"), max_body_size=MAX_BODY)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), over.set)
    await over.wait()
    server.stop()
    await server.close_all_connections()


def _loop_factory(name: str) -> Any:
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


@contextlib.contextmanager
def running(kind: str, loop: str, stderr: Any = None) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """(port, process) of a recorder that runs for as long as the block does."""
    command = [sys.executable, "-m", "tests.http.recorder", kind, loop]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    logging.basicConfig()
    with asyncio.Runner(loop_factory=_loop_factory(sys.argv[2])) as runner:
        runner.run(serve(sys.argv[1]))
