"""start_response and write(), used in every order that PEP 3333 allows, and in some that it forbids."""

import sys

from tests.apps.table import TEXT, Table
from tests.apps.witness import folder, note, parameter

app = Table()


@app.view
def twice(environ, start_response):
    start_response("200 OK", TEXT)
    try:
        start_response("201 Created", TEXT)
    except BaseException as error:
        note("refused", environ, error=type(error).__name__)
        raise
    return [b"started twice"]


@app.view
def twice_while_iterating(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"begun "
    start_response("201 Created", TEXT)
    yield b"again"


@app.view
def replaces_before_headers(environ, start_response):
    start_response("200 OK", [*TEXT, ("X-First", "yes")])
    try:
        raise ValueError("half way")
    except ValueError:
        start_response("418 Teapot", [*TEXT, ("X-Second", "yes")], sys.exc_info())
    return [b"replaced"]


@app.view
def replaces_in_first_chunk(environ, start_response):
    """Headers wait for the first byte, so they can still be replaced while the iteration begins."""
    start_response("200 OK", TEXT)
    yield b""
    try:
        raise ValueError("half way")
    except ValueError:
        start_response("418 Teapot", TEXT, sys.exc_info())
    yield b"replaced late"


@app.view
def replaces_too_late(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"begun "
    try:
        raise ValueError("too late")
    except ValueError:
        try:
            start_response("500 Oops", TEXT, sys.exc_info())
        except BaseException as error:
            note("raised", environ, error=type(error).__name__, text=str(error))
            raise
    yield b"never seen"


@app.view
def exc_info_alone(environ, start_response):
    """A first call may carry exc_info too."""
    try:
        raise ValueError("at once")
    except ValueError:
        start_response("503 Busy", TEXT, sys.exc_info())
    return [b"busy"]


@app.view
def late_start(environ, start_response):
    yield_nothing_first = parameter(environ, "empty")
    if yield_nothing_first:
        start_response("200 OK", TEXT)
        yield b""
    else:
        start_response("202 Later", TEXT)
    yield b"late"


@app.view
def data_before_start(environ, start_response):
    yield b"too early"
    start_response("200 OK", TEXT)


@app.view
def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"")
    write(b"two ")
    return [b"three ", b"four"]


@app.view
def written_only(environ, start_response):
    write = start_response("200 OK", [*TEXT, ("Content-Length", "7")])
    write(b"one ")
    write(b"two")
    return []


@app.view
def written_text(environ, start_response):
    write = start_response("200 OK", TEXT)
    write("not bytes")
    return []


@app.view
def written_then_raises(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"some bytes")
    raise ValueError("after write")


@app.view
def empty_chunks(environ, start_response):
    """An empty chunk on the wire would end a chunked reply."""
    start_response("200 OK", TEXT)
    return iter([b"", b"a", b"", b"", b"b", b""])


@app.view
def empty_list(environ, start_response):
    start_response("200 OK", TEXT)
    return []


@app.view
def empty_generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield from ()


@app.view
def only_empty_chunks(environ, start_response):
    start_response("200 OK", TEXT)
    return iter([b"", b""])


@app.view
def one_chunk(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"exactly this"]


@app.view
def keeps_the_list(environ, start_response):
    """PEP 3333 lets the app reuse its list: what it does to it later must not reach the wire."""
    headers = list(TEXT)
    start_response("200 OK", headers)
    headers.append(("X-Too-Late", "yes"))
    return [b"kept"]


@app.view
def keyword_exc_info(environ, start_response):
    start_response("200 OK", TEXT, exc_info=None)
    return [b"keyword"]


@app.view
def wrapped_file(environ, start_response):
    size = int(parameter(environ, "size"))
    path = folder() / f"{parameter(environ, 'id')}.data"
    path.write_bytes(bytes(range(256)) * (size // 256))
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](path.open("rb"), 8192)


@app.view
def wrapped_object(environ, start_response):
    """Anything with read() will do; its close() must be called."""

    class Source:
        left = 3

        def read(self, size):
            self.left -= 1
            return b"piece " if self.left >= 0 else b""

        def close(self):
            note("closed", environ)

    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Source())
