"""A WSGI app for lanes in this process and in others: the path says what it does. It knows of no engine."""

import json
import os
import sys
import threading
import time

LONG = 20.0


def app(environ, start_response):
    return VIEWS[environ["PATH_INFO"].strip("/").partition("/")[0]](environ, start_response)


def answer(start_response, body, status="200 OK"):
    start_response(status, [("Content-Type", "text/plain")])
    return [body if isinstance(body, bytes) else str(body).encode()]


def hello(environ, start_response):
    return answer(start_response, "hello")


def echo(environ, start_response):
    return answer(start_response, environ["wsgi.input"].read())


def identity(environ, start_response):
    return answer(start_response, f"{os.getpid()} {threading.get_ident()}")


def modules(environ, start_response):
    return answer(start_response, json.dumps(sorted(sys.modules)))


def arguments(environ, start_response):
    return answer(start_response, json.dumps(sys.argv))


def describe(environ, start_response):
    """All of environ that is a string, a number or a bool."""
    plain = {name: value for name, value in environ.items() if isinstance(value, (str, int))}
    return answer(start_response, json.dumps(plain))


def fails(environ, start_response):
    raise ValueError("the view failed")


def exits(environ, start_response):
    os._exit(3)


def gated(environ, start_response):
    """Answer once the file that the query string names is there."""
    deadline = time.monotonic() + LONG
    while not os.path.exists(environ["QUERY_STRING"]) and time.monotonic() < deadline:
        time.sleep(0.005)
    return answer(start_response, f"{os.getpid()}")


def half(environ, start_response):
    """Half of a reply, and the rest when the file that the query string names is there."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"first;"
    gated(environ, lambda *_: None)
    yield b"second"


def large(environ, start_response):
    """As many bytes as the query string says."""
    start_response("200 OK", [])
    left = int(environ["QUERY_STRING"])
    while left > 0:
        yield bytes(min(left, 65536))
        left -= 65536


def publishes(environ, start_response):
    from waterspout import publish

    publish("from-the-app", {"pid": os.getpid()})
    return answer(start_response, "published")


VIEWS = {
    view.__name__: view
    for view in (
        hello,
        echo,
        identity,
        modules,
        arguments,
        describe,
        fails,
        exits,
        gated,
        half,
        large,
        publishes,
    )
}
VIEWS[""] = hello


def make_app():
    return app


def raise_at_once():
    raise LookupError("no database")


def end_at_once():
    os._exit(4)


def make_only_here():
    """Loads only in the tests' own process."""
    if "pytest" not in sys.modules:
        raise LookupError("no database")
    return app


class Fresh:
    """Each instance is a different app, and says which."""

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"].endswith("/app"):
            return answer(start_response, id(self))
        return app(environ, start_response)


not_an_app = 7
