"""Replies that take their time: gates, endless streams, floods."""

import itertools
import time

from flask import Flask, Response, request, stream_with_context

from tests.apps.table import TEXT, Table
from tests.apps.witness import Counter, note, parameter, wait_for_gate

app = Table()
flask_app = Flask(__name__)
app.mount("flask", flask_app)
BLOCK = bytes(range(256)) * 256


@flask_app.get("/flask/context")
def context():
    def pieces():
        for number in range(3):
            yield f"{request.args['name']}-{number};"

    return Response(stream_with_context(pieces()))


@app.view
def two_halves(environ, start_response):
    """The second half comes only after the test has seen the first."""
    headers = [("Content-Length", "12")] if parameter(environ, "length") else []
    start_response("200 OK", [*TEXT, *headers])
    yield b"first;"
    wait_for_gate(environ)
    yield b"second"


class Endless:
    """Chunks without end; the threads that iterate and close are noted."""

    def __init__(self, environ, chunk, pause):
        self.environ = environ
        self.chunk = chunk
        self.pause = pause
        self.counter = Counter(environ)

    def __iter__(self):
        note("iterating", self.environ)
        return self

    def __next__(self):
        time.sleep(self.pause)
        self.counter.add(len(self.chunk))
        return self.chunk

    def close(self):
        self.counter.close()
        note("closed", self.environ)


@app.view
def ticking(environ, start_response):
    start_response("200 OK", TEXT)
    return Endless(environ, b"tick\n", 0.02)


@app.view
def flood(environ, start_response):
    start_response("200 OK", TEXT)
    return Endless(environ, BLOCK, 0)


@app.view
def endless_generator(environ, start_response):
    """A generator learns of its end through GeneratorExit at the yield, in the thread that runs it."""
    start_response("200 OK", TEXT)
    note("iterating", environ)
    try:
        for number in itertools.count():
            time.sleep(0.02)
            yield b"%d\n" % number
    finally:
        note("closed", environ)


@app.view
def thinking(environ, start_response):
    """Nothing is sent before the gate opens; the client may have left by then."""
    note("iterating", environ)
    wait_for_gate(environ)
    start_response("200 OK", TEXT)
    return Endless(environ, b"thought\n", 0.02)


@app.view
def counted(environ, start_response):
    """`size` bytes in blocks of 64 KiB, counted as they are produced."""
    size = int(parameter(environ, "size"))
    start_response("200 OK", [*TEXT, ("Content-Length", str(size))] if parameter(environ, "length") else TEXT)
    counter = Counter(environ)
    try:
        for offset in range(0, size, len(BLOCK)):
            block = BLOCK[: size - offset]
            counter.add(len(block))
            yield block
    finally:
        counter.close()
        note("closed", environ)
