"""HTTP/1.0: no Host needed, no codings, one request unless `keep-alive` says more."""

from tests.http.case import CANARY, Request, bad, good, head, post

_SEEN = Request(version="HTTP/1.0")
_HELLO = Request("POST", version="HTTP/1.0", body=b"hello")

CASES = [
    good("1.0/no-host", head("GET / HTTP/1.0", host=None), "not needed", _SEEN, closes=True),
    good("1.0/no-fields", b"GET / HTTP/1.0\r\n\r\n", "not needed", _SEEN, closes=True),
    good("1.0/host", head("GET / HTTP/1.0"), "may be", _SEEN._replace(headers={"host": "a"}), closes=True),
    good(
        "1.0/absolute",
        head("GET http://b/ HTTP/1.0", host="front"),
        "its authority is the host, here too",
        _SEEN._replace(target="http://b/", headers={"host": "b"}),
        closes=True,
    ),
    good(
        "1.0/post",
        post("Content-Length: 5", body=b"hello", version="1.0"),
        "a length",
        _HELLO,
        closes=True,
    ),
    good(
        "1.0/post-no-length",
        post(body=b"hello", version="1.0"),
        "no length is no body in a request (RFC 9112 section 6.3)",
        Request("POST", version="HTTP/1.0"),
        closes=True,
    ),
    good(
        "1.0/post-keep-alive",
        post("Connection: keep-alive", "Content-Length: 5", body=b"hello", version="1.0"),
        "a length, and one more request",
        _HELLO,
    ),
    good(
        "1.0/post-keep-alive-no-length",
        post("Connection: keep-alive", version="1.0"),
        "no body",
        Request("POST", version="HTTP/1.0"),
    ),
    good(
        "1.0/head",
        head("HEAD / HTTP/1.0"),
        "no body in the reply",
        _SEEN._replace(method="HEAD"),
        closes=True,
    ),
    good("1.0/pipelined", head("GET / HTTP/1.0") + CANARY, "the second is not run", _SEEN, closes=True),
    good(
        "1.0/kept-then-not",
        head("GET / HTTP/1.0", "Connection: keep-alive") + head("GET / HTTP/1.0") + CANARY,
        "the second is the last",
        _SEEN,
        _SEEN,
        closes=True,
    ),
    good(
        "1.0/then-1.1",
        head("GET / HTTP/1.0", "Connection: keep-alive") + head(),
        "each request has its own version",
        _SEEN,
        Request(),
    ),
    good(
        "1.0/1.1-first",
        head() + head("GET / HTTP/1.0") + CANARY,
        "each request has its own version",
        Request(),
        _SEEN,
        closes=True,
    ),
    good(
        "1.0/options",
        head("OPTIONS * HTTP/1.0"),
        "asterisk-form",
        Request("OPTIONS", "*", "HTTP/1.0"),
        closes=True,
    ),
    bad("1.0/length-bad", post("Content-Length: x", version="1.0"), "judged as in 1.1"),
    bad("1.0/length-two", post("Content-Length: 1", "Content-Length: 1", body=b"x", version="1.0"), "two"),
    bad("1.0/too-large", post("Content-Length: 99999999", version="1.0"), "over the limit", 413),
    bad("1.0/fold", head("GET / HTTP/1.0", "X-A: b", " c"), "obs-fold, though it was legal then"),
    bad("1.0/lf", b"GET / HTTP/1.0\n\n", "bare LF", bare=None),
    bad("1.0/target", head("GET a HTTP/1.0"), "no path"),
    bad("0.9/line", b"GET /\r\n\r\n", "HTTP/0.9", bare=True),
    bad("0.9/line-lf", b"GET /\n\r\n\r\n", "HTTP/0.9, bare LF", bare=None),
    bad("0.9/by-name", head("GET / HTTP/0.9", host=None), "HTTP/0.9 by name", 505),
]
