"""Apps whose reply ends before something else does: the upload, the generator, or the reading."""

import io
import threading

from tests.apps.table import TEXT, Table
from tests.apps.witness import note

app = Table()


class Reading:
    """A reply of two bytes whose close() reads on: middleware that drains its input does that."""

    def __init__(self, environ):
        self._environ = environ

    def __iter__(self):
        return iter([b"ok"])

    def close(self):
        try:
            while self._environ["wsgi.input"].read(65_536):
                pass
        except OSError as error:
            note("raised", self._environ, type=type(error).__name__)
        note("closed", self._environ)


@app.view
def reads_while_closing(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    return Reading(environ)


@app.view
def reads_in_a_thread(environ, start_response):
    """A thread that the view leaves behind, still reading."""

    def read():
        try:
            environ["wsgi.input"].read()
        except (OSError, ValueError) as error:
            note("raised", environ, type=type(error).__name__)

    threading.Thread(target=read, daemon=True).start()
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    return [b"ok"]


@app.view
def ignores(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    return [b"ok"]


@app.view
def raises(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    raise RuntimeError("after the first chunk")


def endless(environ, chunk):
    try:
        yield b"ok"
        while True:
            yield chunk
    finally:
        note("closed", environ)


@app.view
def empty_for_ever(environ, start_response):
    start_response("200 OK", TEXT)
    return endless(environ, b"")


@app.view
def past_its_length(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    return endless(environ, b"surplus")


@app.view
def full_for_ever(environ, start_response):
    start_response("200 OK", TEXT)
    return endless(environ, b"x" * 65_536)


@app.view
def wraps_a_pipe(environ, start_response):
    """A live source: what is there must be sent, not wait for a whole block."""
    start_response("200 OK", TEXT)

    class Live(io.RawIOBase):
        pieces = iter((b"first;", b"second;"))

        def readable(self):
            return True

        def read1(self, size=-1):
            return next(self.pieces, b"")

        def read(self, size=-1):
            raise AssertionError("read() of a pipe waits for all that it was asked for")

    return environ["wsgi.file_wrapper"](Live(), 64)
