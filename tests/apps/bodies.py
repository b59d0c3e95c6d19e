"""Apps that read their input in every way, and some that don't."""

import hashlib
import json
import threading
from functools import partial

from tests.apps.table import TEXT, Table
from tests.apps.witness import note, parameter, wait_for_gate

app = Table()
READ_SIZE = 10_000


def read_whole(source):
    yield source.read()


def read_minus_one(source):
    yield source.read(-1)


def read_pieces(source):
    yield from iter(partial(source.read, READ_SIZE), b"")


def read_lines(source):
    yield from iter(source.readline, b"")


def read_limited_lines(source):
    yield from iter(partial(source.readline, 7), b"")


def read_list_of_lines(source):
    yield from source.readlines()


def read_hinted_lines(source):
    while lines := source.readlines(5_000):
        yield from lines


def iterate(source):
    yield from source


READERS = {
    "whole": read_whole,
    "minus-one": read_minus_one,
    "pieces": read_pieces,
    "lines": read_lines,
    "limited-lines": read_limited_lines,
    "list-of-lines": read_list_of_lines,
    "hinted-lines": read_hinted_lines,
    "iterated": iterate,
}


def read_as(environ):
    return READERS[parameter(environ, "how", "pieces")](environ["wsgi.input"])


@app.view
def digest(environ, start_response):
    """Length, checksum and pieces of the body; afterwards the input must stay at its end."""
    note("ran", environ)
    total, checksum, pieces = 0, hashlib.sha256(), []
    for piece in read_as(environ):
        total += len(piece)
        checksum.update(piece)
        pieces.append(len(piece))
    source = environ["wsgi.input"]
    facts = {
        "length": total,
        "sha256": checksum.hexdigest(),
        "pieces": pieces[:2000],
        "after": [source.read().decode(), source.read(5).decode(), source.readline().decode()],
        "declared": environ.get("CONTENT_LENGTH"),
        "encoding": environ.get("HTTP_TRANSFER_ENCODING"),
    }
    start_response("200 OK", TEXT)
    return [json.dumps(facts).encode()]


@app.view
def witnessed(environ, start_response):
    """Read to the end or to an error; say which. A body cut short must never look like a whole one."""
    got = 0
    note("ran", environ)
    try:
        for piece in read_as(environ):
            if not got:
                note("piece", environ)
            got += len(piece)
    except BaseException as error:
        is_os_error = isinstance(error, OSError)
        note("outcome", environ, ended="raised", error=type(error).__name__, is_os_error=is_os_error, got=got)
        raise
    note("outcome", environ, ended="clean", got=got)
    start_response("200 OK", TEXT)
    return [b"read %d" % got]


@app.view
def swallowed(environ, start_response):
    """An app that catches the error of a lost client and answers all the same."""
    note("ran", environ)
    try:
        for _ in read_as(environ):
            pass
    except OSError as error:
        note("outcome", environ, ended="raised", error=type(error).__name__)
    start_response("200 OK", TEXT)
    return [b"carried on"]


@app.view
def unread(environ, start_response):
    note("ran", environ)
    start_response("200 OK", [*TEXT, ("Content-Length", "11")])
    return [b"read naught"]


@app.view
def partly(environ, start_response):
    """Reads `count` bytes, then answers."""
    got = len(environ["wsgi.input"].read(int(parameter(environ, "count"))))
    start_response("200 OK", TEXT)
    return [b"read %d" % got]


@app.view
def early(environ, start_response):
    """Answers first, then reads on: the reply is a long one, and the reading is noted."""
    start_response("200 OK", TEXT)
    yield b"early;" * 20_000
    got = sum(map(len, read_as(environ)))
    note("outcome", environ, ended="clean", got=got)
    yield b"read %d" % got


@app.view
def refuses(environ, start_response):
    note("ran", environ)
    start_response("413 Too Large", [*TEXT, ("Content-Length", "7")])
    return [b"too big"]


@app.view
def gated(environ, start_response):
    """Reads nothing before the test says so."""
    note("ran", environ)
    wait_for_gate(environ)
    got = sum(map(len, read_as(environ)))
    start_response("200 OK", TEXT)
    return [b"read %d" % got]


@app.view
def starts_then_reads(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"started;"
    got = sum(map(len, read_as(environ)))
    yield b"read %d" % got


@app.view
def echo_lines(environ, start_response):
    """Each line goes back as soon as it came, while the upload is still going on."""
    start_response("200 OK", TEXT)
    yield from iter(environ["wsgi.input"].readline, b"")


@app.view
def echo_blocks(environ, start_response):
    size = int(parameter(environ, "size"))
    start_response("200 OK", TEXT)
    yield from iter(partial(environ["wsgi.input"].read, size), b"")


@app.view
def read_beside(environ, start_response):
    """A thread of the view reads the upload; meanwhile the view sends `size` bytes every `pause` seconds, at
    most `times` times.
    """
    done, digest = threading.Event(), hashlib.sha256()

    def read():
        try:
            for piece in iter(partial(environ["wsgi.input"].read, READ_SIZE), b""):
                digest.update(piece)
        finally:
            done.set()

    start_response("200 OK", TEXT)
    reader = threading.Thread(target=read)
    reader.start()
    sign, pause = b"." * int(parameter(environ, "size")), float(parameter(environ, "pause"))
    for _ in range(int(parameter(environ, "times", "1000000000"))):
        if done.wait(pause):
            break
        yield sign
    reader.join()
    yield digest.hexdigest().encode()


@app.view
def leaves_a_reader(environ, start_response):
    """Answers while a thread of its own waits for more of the upload."""
    source, begun = environ["wsgi.input"], threading.Event()

    def read():
        got = source.read(10)
        begun.set()
        try:
            while piece := source.read(READ_SIZE):
                got += piece
            note("read", environ, size=len(got))
        except Exception as error:
            note("read", environ, error=type(error).__name__)

    threading.Thread(target=read).start()
    begun.wait()
    start_response("200 OK", TEXT)
    return [b"answered"]


@app.view
def zero_reads(environ, start_response):
    source = environ["wsgi.input"]
    facts = [source.read(0), source.readline(0), source.read(3), source.read(0), source.read()]
    start_response("200 OK", TEXT)
    return [b"|".join(facts)]
