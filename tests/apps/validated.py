"""Well-behaved apps inside `wsgiref.validate.validator`, which raises for every breach of PEP 3333."""

from wsgiref.validate import validator

from tests.apps.table import TEXT, Table, canary
from tests.apps.witness import parameter


def plain(environ, start_response):
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    return [b"plain"]


def echoing(environ, start_response):
    """The validator allows read() with a size only."""
    size = int(environ.get("CONTENT_LENGTH") or 1_000_000)
    body = environ["wsgi.input"].read(size)
    start_response("200 OK", TEXT)
    return [body]


def lines(environ, start_response):
    start_response("200 OK", TEXT)
    yield from environ["wsgi.input"]


def generated(environ, start_response):
    start_response("200 OK", TEXT)
    for number in range(int(parameter(environ, "count", "3"))):
        yield b"chunk%d " % number


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return []


def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    return [b"returned"]


def complaining(environ, start_response):
    environ["wsgi.errors"].write("a complaint of a validated app\n")
    environ["wsgi.errors"].flush()
    start_response("500 Broken", TEXT)
    return [b"broken"]


class Validated(Table):
    """Each app in a validator of its own; the canary, which calls read() without a size, outside."""

    def __init__(self):
        self.views = {"canary": canary}
        apps = (plain, echoing, lines, generated, no_content, not_modified, written, complaining)
        self.views |= {app.__name__.replace("_", "-"): validator(app) for app in apps}


app = Validated()
