"""Expect: 100-continue (RFC 9110 section 10.1.1)."""

from tests.http.case import MAX_BODY, Request, bad, good, head, post

_CONTINUE = "Expect: 100-continue"
_HELLO = Request("POST", body=b"hello")

_NONE = {  # id: raw, request, closes
    "no-body": (head("GET / HTTP/1.1", _CONTINUE), Request(), False),
    "zero": (post(_CONTINUE, "Content-Length: 0"), Request("POST"), False),
    "1.0": (
        post(_CONTINUE, "Content-Length: 5", body=b"hello", version="1.0"),
        Request("POST", version="HTTP/1.0", body=b"hello"),
        True,
    ),
    "1.0-keep-alive": (
        post(_CONTINUE, "Connection: keep-alive", "Content-Length: 5", body=b"hello", version="1.0"),
        Request("POST", version="HTTP/1.0", body=b"hello"),
        False,
    ),
    "other": (post("Expect: something", "Content-Length: 5", body=b"hello"), _HELLO, False),
    "longer": (post("Expect: 100-continued", "Content-Length: 5", body=b"hello"), _HELLO, False),
    "status": (post("Expect: 100", "Content-Length: 5", body=b"hello"), _HELLO, False),
    "empty": (post("Expect:", "Content-Length: 5", body=b"hello"), _HELLO, False),
    "name": (post("X-Expect: 100-continue", "Content-Length: 5", body=b"hello"), _HELLO, False),
}

CASES = [
    good(
        "expect/length",
        post(_CONTINUE, "Content-Length: 5", body=b"hello"),
        "the client waits for it",
        _HELLO,
        continues=1,
    ),
    good(
        "expect/chunked",
        post(_CONTINUE, "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
        "the client waits for it",
        _HELLO,
        continues=1,
    ),
    good(
        "expect/upper",
        post("EXPECT: 100-CONTINUE", "Content-Length: 5", body=b"hello"),
        "in any case",
        _HELLO,
        continues=1,
    ),
    good(
        "expect/blanks",
        post("Expect: \t100-continue  ", "Content-Length: 5", body=b"hello"),
        "blanks around it",
        _HELLO,
        continues=1,
    ),
    good(
        "expect/get",
        head("GET / HTTP/1.1", _CONTINUE, "Content-Length: 5") + b"hello",
        "whatever the method",
        Request(body=b"hello"),
        continues=1,
    ),
    good(
        "expect/twice",
        post(_CONTINUE, "Content-Length: 5", body=b"hello") * 2,
        "for each request",
        _HELLO,
        _HELLO,
        continues=2,
    ),
    good(
        "expect/close",
        post(_CONTINUE, "Connection: close", "Content-Length: 5", body=b"hello"),
        "on the last request, too",
        _HELLO,
        closes=True,
        continues=1,
    ),
    *(
        good(f"expect/none-{id}", raw, "nobody waits for it", request, closes=closes)
        for id, (raw, request, closes) in _NONE.items()
    ),
    bad(
        "expect/too-large",
        post(_CONTINUE, f"Content-Length: {MAX_BODY + 1}"),
        "an early refusal must not cause the upload",
        413,
    ),
    bad("expect/bad-length", post(_CONTINUE, "Content-Length: x"), "refused first"),
    bad(
        "expect/smuggling",
        post(_CONTINUE, "Content-Length: 5", "Transfer-Encoding: chunked"),
        "refused first",
    ),
    bad(
        "expect/bad-chunk",
        post(_CONTINUE, "Transfer-Encoding: chunked", body=b"x\r\n"),
        "asked for, and refused",
        continues=1,
    ),
]
