"""One iterable, noted when it is called for, iterated and closed, on every path a request can take."""

import time

from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter, wait_for_gate

app = Table()


class Watched:
    """An iterable whose steps are noted with the thread that takes them."""

    def __init__(self, environ, chunks):
        self.environ = environ
        self.chunks = iter(chunks)

    def __iter__(self):
        note("iterated", self.environ)
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        note("closed", self.environ)
        if parameter(self.environ, "close_raises"):
            raise ValueError("close() failed")


def raising(*chunks):
    yield from chunks
    raise ValueError("while iterating")


def ticking():
    while True:
        time.sleep(0.02)
        yield b"tick\n"


@app.view
def normal(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, [b"one", b"two"])


@app.view
def no_chunks(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, [])


@app.view
def no_content(environ, start_response):
    note("called", environ)
    start_response("204 No Content", TEXT)
    return Watched(environ, [b"unwanted"])


@app.view
def commits(environ, start_response):
    """A middleware that does something behind the last chunk of the app in it, and not in `close()`."""
    note("called", environ)
    start_response(parameter(environ, "status"), [])
    yield from [b""] if parameter(environ, "chunk") == "empty" else [b"unwanted"]
    note("committed", environ)


@app.view
def raises_at_once(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, raising())


@app.view
def raises_later(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, raising(b"some bytes"))


@app.view
def text_chunk(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, ["not bytes"])


@app.view
def too_many(environ, start_response):
    note("called", environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "3")])
    return Watched(environ, [b"too ", b"many ", b"bytes"])


@app.view
def too_few(environ, start_response):
    note("called", environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "300")])
    return Watched(environ, [b"few"])


@app.view
def never_starts(environ, start_response):
    note("called", environ)
    return Watched(environ, [b"no start_response"])


@app.view
def bad_header(environ, start_response):
    """start_response may raise at once; an app that swallows that returns its iterable all the same."""
    note("called", environ)
    try:
        start_response("200 OK", [("X Bad", "yes")])
    except Exception:
        note("refused", environ)
    return Watched(environ, [b"bad header"])


@app.view
def endless(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Watched(environ, ticking())


@app.view
def gated(environ, start_response):
    note("called", environ)
    wait_for_gate(environ)
    start_response("200 OK", TEXT)
    return Watched(environ, [b"after the gate"])


class Unstoppable:
    """iter() itself raises."""

    def __init__(self, environ):
        self.environ = environ

    def __iter__(self):
        note("iterated", self.environ)
        raise ValueError("in iter()")

    def close(self):
        note("closed", self.environ)


@app.view
def iter_raises(environ, start_response):
    note("called", environ)
    start_response("200 OK", TEXT)
    return Unstoppable(environ)
