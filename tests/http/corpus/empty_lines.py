"""Empty lines before a request (RFC 9112 section 2.2): two at the most, and only CRLF."""

from tests.http.case import Request, bad, cut, good, head, post

_B = Request(target="/b")
_GET_B = head("GET /b HTTP/1.1")
_BAD = {
    "three": (b"\r\n" * 3, True),
    "many": (b"\r\n" * 1000, True),
    "lf": (b"\n", True),
    "lf-lf": (b"\n\n", True),
    "cr": (b"\r", True),
    "cr-cr-lf": (b"\r\r\n", True),
    "lf-cr": (b"\n\r", True),
    "crlf-lf": (b"\r\n\n", True),
    "lf-crlf": (b"\n\r\n", True),
    "blank": (b" \r\n", True),
    "tab": (b"\t\r\n", True),
    "crlf-blank": (b"\r\n ", True),
    "nul": (b"\0\r\n", True),
}

CASES = [
    good("empty/one", b"\r\n" + head(), "skipped"),
    good("empty/two", b"\r\n\r\n" + head(), "skipped"),
    *(
        bad(f"empty/{id}", lines + head(), "not what is skipped", bare=bare)
        for id, (lines, bare) in _BAD.items()
    ),
    good("empty/between", head() + b"\r\n" + _GET_B, "old clients send one behind a body", Request(), _B),
    good("empty/two-between", head() + b"\r\n\r\n" + _GET_B, "two of them", Request(), _B),
    good("empty/each", (b"\r\n\r\n" + _GET_B) * 5, "counted for each request anew", *[_B] * 5),
    good(
        "empty/behind-body",
        post("Content-Length: 5", body=b"hello\r\n") + _GET_B,
        "one that the length does not count",
        Request("POST", body=b"hello"),
        _B,
    ),
    good("empty/behind-last", head() + b"\r\n", "and one more request behind it"),
    bad(
        "empty/three-between",
        head() + b"\r\n\r\n\r\n" + _GET_B,
        "too many",
        before=[Request()],
        bare=True,
    ),
    bad("empty/lf-between", head() + b"\n" + _GET_B, "not CRLF", before=[Request()], bare=True),
    cut("empty/nothing", b"", "not a byte"),
    cut("empty/only-one", b"\r\n", "nothing behind it"),
    cut("empty/only-two", b"\r\n\r\n", "nothing behind them"),
    cut("empty/only-cr", b"\r", "half of one"),
]
