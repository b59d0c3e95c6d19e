"""405 and `Allow` where both sides have methods: whenever, and however, the app starts its response."""

import pytest
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import create_environ

from waterspout.wsgi.worker.allow import AllowMerger

app = Flask("app")


@app.get("/other")
def other():
    return "other"


class Lazy:
    """Middleware that is a generator: the response starts with the first chunk."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        yield from self.app(environ, start_response)


class Closing:
    """Middleware whose iterable raises when it is closed."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        return Closed(self.app(environ, start_response))


class Closed:
    def __init__(self, iterable):
        self.iterable = iterable

    def __iter__(self):
        return iter(self.iterable)

    def close(self):
        raise OSError("close() of the middleware")


def call(app, method, path="/native"):
    """(status, headers, body, the iterable)"""
    said = []

    def start_response(status, headers, exc_info=None):
        said[:] = [status, dict(headers)]
        return lambda chunk: None

    iterable = AllowMerger(app, "GET, HEAD")(create_environ(path, method=method), start_response)
    body = b"".join(iterable)
    return *said, body, iterable


@pytest.mark.parametrize("wrap", [lambda app: app, Lazy, Closing])
def test_a_method_of_neither_side_is_405(wrap):
    status, headers, body, _ = call(wrap(app), "DELETE")
    assert status == "405 METHOD NOT ALLOWED"
    assert headers["Allow"] == "GET, HEAD, OPTIONS"
    assert headers["Content-Length"] == str(len(body))
    assert body == b"405 Method Not Allowed\n"


@pytest.mark.parametrize("wrap", [lambda app: app, Lazy])
def test_options_of_a_native_path_are_an_empty_200(wrap):
    status, headers, body, _ = call(wrap(app), "OPTIONS")
    assert (status, headers["Allow"], body) == ("200 OK", "GET, HEAD, OPTIONS", b"")


@pytest.mark.parametrize("wrap", [lambda app: app, Lazy])
def test_what_a_view_answers_is_passed_on(wrap):
    status, _headers, body, _ = call(wrap(app), "GET", "/other")
    assert (status, body) == ("200 OK", b"other")


class Sharing:
    """Middleware that adds who may read a reply, as Flask-CORS does, and much that is taken away."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, *OF_ALL, *OF_THE_BODY])

        return self.app(environ, start)


OF_ALL = [
    ("Access-Control-Allow-Origin", "https://spa.example"),
    ("Vary", "Origin"),
    ("Set-Cookie", "a=1"),
    ("Set-Cookie", "b=2"),
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'self'"),
]
OF_THE_BODY = [
    ("content-encoding", "gzip"),
    ("Content-Language", "de"),
    ("Content-Location", "/404.de.html"),
    ("Content-Disposition", "inline"),
    ("Content-Digest", "sha-256=:AA==:"),
    ("Repr-Digest", "sha-256=:AA==:"),
    ("Transfer-Encoding", "chunked"),
    ("Trailer", "Expires"),
    ("ETag", '"1"'),
    ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ("Accept-Ranges", "bytes"),
    ("Location", "/elsewhere"),
    ("Allow", "BREW"),
    ("X-Sendfile", "/404.html"),
    ("X-Accel-Redirect", "/404.html"),
]


@pytest.mark.parametrize("method", ["OPTIONS", "DELETE"])
def test_what_the_app_says_stays_but_for_what_it_says_of_the_body_that_is_replaced(method):
    said = []
    merger = AllowMerger(Sharing(app), "GET, HEAD")
    body = b"".join(
        merger(create_environ("/native", method=method), lambda *args: said.append(args) or (lambda _: None))
    )
    assert said[0][1] == [
        *OF_ALL,
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Allow", "GET, HEAD, OPTIONS"),
    ]


def test_closing_is_left_to_who_iterates():
    *_, iterable = call(Closing(app), "DELETE")
    with pytest.raises(OSError, match="middleware"):
        iterable.close()


@pytest.mark.parametrize(
    ("settings", "rule", "host"),
    [
        ({"subdomain_matching": True}, {"subdomain": "api"}, "api.example.org"),
        (
            {"host_matching": True, "static_host": "example.org"},
            {"host": "api.example.org"},
            "api.example.org",
        ),
    ],
)
def test_a_view_s_own_404_stands_where_the_host_decides(settings, rule, host):
    flask = Flask("hosts", **settings)
    if "subdomain_matching" in settings:
        flask.config["SERVER_NAME"] = "example.org"

    @flask.route("/things", methods=["POST"], **rule)
    def things():
        return "no such thing", 404

    said = []
    environ = create_environ("/things", base_url=f"http://{host}", method="POST")
    body = b"".join(
        AllowMerger(flask, "GET")(environ, lambda *args: said.append(args) or (lambda chunk: None))
    )
    assert (said[0][0], body) == ("404 NOT FOUND", b"no such thing")


def test_a_view_s_own_404_stands_in_an_app_that_is_mounted_in_another():
    inner = Flask("inner")

    @inner.post("/things")
    def things():
        return "no such thing", 404

    mounted = DispatcherMiddleware(app, {"/in": inner})
    for path, expected in (("/in/things", ("404 NOT FOUND", b"no such thing")), ("/in/none", None)):
        status, _headers, body, _iterable = call(mounted, "POST", path)
        assert (status, body) == (expected or ("405 METHOD NOT ALLOWED", b"405 Method Not Allowed\n"))


@pytest.mark.parametrize("says", [None, "PATCH"])
def test_a_405_of_the_app_s_own_making_names_its_methods_too(says):
    """An API's page for that seldom has an Allow."""
    flask = Flask("api")

    @flask.patch("/things")
    def change():
        return "changed"

    @flask.errorhandler(405)
    def refuse(error):
        return {"error": "not allowed"}, 405, {"Allow": says} if says else {}

    status, headers, body, _iterable = call(flask, "DELETE", "/things")
    assert (status, b"not allowed" in body) == ("405 METHOD NOT ALLOWED", True)
    assert headers["Allow"] == "GET, HEAD, OPTIONS, PATCH"


def test_a_view_that_refuses_its_own_method_says_what_it_says():
    flask = Flask("api")

    @flask.patch("/things")
    def change():
        return "no", 405

    _status, headers, _body, _iterable = call(flask, "PATCH", "/things")
    assert headers["Allow"] == "GET, HEAD, OPTIONS"
