"""Apps that raise, at every point where an app can."""

from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter

app = Table()
SECRET = "the-password-is-swordfish"
ERRORS = {
    "ValueError": ValueError,
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "StopIteration": StopIteration,
    "ConnectionResetError": ConnectionResetError,
    "BrokenPipeError": BrokenPipeError,
}


def error_of(environ):
    return ERRORS[parameter(environ, "error", "ValueError")](SECRET)


@app.view
def before_start(environ, start_response):
    note("ran", environ)
    raise error_of(environ)


@app.view
def after_start(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-Secret", SECRET)])
    raise error_of(environ)


class Raising:
    """Some chunks, then an error. A class, since a generator would turn StopIteration into RuntimeError."""

    def __init__(self, environ, chunks):
        self.environ = environ
        self.chunks = list(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        if self.chunks:
            return self.chunks.pop(0)
        raise error_of(self.environ)

    def close(self):
        note("closed", self.environ)


@app.view
def first_chunk(environ, start_response):
    start_response("200 OK", TEXT)
    return Raising(environ, [])


@app.view
def mid_stream(environ, start_response):
    headers = [("Content-Length", "1000")] if parameter(environ, "length") else []
    start_response("200 OK", [*TEXT, *headers])
    return Raising(environ, [b"some ", b"bytes "])


@app.view
def after_empty_chunk(environ, start_response):
    """An empty chunk sends nothing: the headers can still be changed."""
    start_response("200 OK", TEXT)
    return Raising(environ, [b""])


@app.view
def returns_none(environ, start_response):
    start_response("200 OK", TEXT)


@app.view
def not_iterable(environ, start_response):
    start_response("200 OK", TEXT)
    return 7


@app.view
def never_starts(environ, start_response):
    return [b"no start_response"]


@app.view
def never_starts_and_empty(environ, start_response):
    return []
