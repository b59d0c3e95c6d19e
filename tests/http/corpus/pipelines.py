"""Pipelined requests (RFC 9112 section 9.3.2): each begins where the last one ended."""

from tests.http.case import Request, bad, chunked, cut, good, head, post

_GET = (head("GET /get HTTP/1.1"), Request(target="/get"))
_HEAD = (head("HEAD /head HTTP/1.1"), Request("HEAD", "/head"))
_POST = (post("Content-Length: 5", body=b"hello", target="/p"), Request("POST", "/p", body=b"hello"))
_EMPTY = (post("Content-Length: 0", target="/e"), Request("POST", "/e"))
_CHUNKED = (
    chunked(body=b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", target="/c"),
    Request("POST", "/c", body=b"hello!"),
)
_TRAILER = (chunked(body=b"0\r\nX-T: b\r\n\r\n", target="/t"), Request("POST", "/t", headers={"x-t": None}))
_OLD = (head("GET /o HTTP/1.0", "Connection: keep-alive"), Request(target="/o", version="HTTP/1.0"))
_LARGE = (
    post("Content-Length: 100000", body=b"z" * 100000, target="/l"),
    Request("POST", "/l", body=b"z" * 100000),
)
_KINDS = {
    "get": _GET,
    "head": _HEAD,
    "post": _POST,
    "empty": _EMPTY,
    "chunked": _CHUNKED,
    "trailer": _TRAILER,
    "old": _OLD,
    "large": _LARGE,
}
_ENDINGS = {  # what is refused after some requests: raw, status, bare
    "garbage": (b"\0\0\0\0\r\n\r\n", 400, True),
    "line": (head("GET  / HTTP/1.1"), 400, False),
    "version": (head("GET / HTTP/3.0"), 505, False),
    "no-host": (head(host=None), 400, False),
    "both": (post("Content-Length: 1", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400, False),
    "length": (post("Content-Length: -1"), 400, False),
    "chunk": (chunked(body=b"z\r\n"), 400, False),
    "large": (post("Content-Length: 99999999"), 413, False),
    "connect": (head("CONNECT a:1 HTTP/1.1"), 405, False),
    "leftover": (b"{}" + head(), 400, True),
    "fields": (head("GET / HTTP/1.1", *["a:"] * 200), 431, False),
}
_UNFINISHED = {
    "line": b"GET",
    "head": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "body": post("Content-Length: 5", body=b"hell"),
    "chunk": chunked(body=b"5\r\nhel"),
    "cr": b"\r",
    "empty-line": b"\r\n",
}


def _join(id, pairs, reason):
    return good(f"pipeline/{id}", b"".join(raw for raw, _ in pairs), reason, *(seen for _, seen in pairs))


def _numbered(count):
    return [(head(f"GET /{n} HTTP/1.1"), Request(target=f"/{n}")) for n in range(count)]


CASES = [
    *(
        _join(f"{first}-{second}", [_KINDS[first], _KINDS[second]], "the second begins behind the first")
        for first in _KINDS
        for second in _KINDS
    ),
    *(_join(f"{count}-gets", _numbered(count), "in order, none lost") for count in (3, 10, 50, 500)),
    _join("3000-gets", _numbered(3000), "more than is held at once"),
    _join("mixed", [pair for _ in range(5) for pair in _KINDS.values()], "all kinds"),
    _join("posts", [_POST] * 30, "bodies"),
    _join("larges", [_LARGE] * 6, "large bodies"),
    *(
        bad(
            f"pipeline/then-{id}",
            _GET[0] + _POST[0] + raw,
            "the first two are answered, nothing behind the refused one",
            status,
            before=[_GET[1], _POST[1]],
            bare=bare,
        )
        for id, (raw, status, bare) in _ENDINGS.items()
    ),
    *(
        cut(f"pipeline/cut-{id}", _GET[0] + _CHUNKED[0] + raw, "half a request is none", _GET[1], _CHUNKED[1])
        for id, raw in _UNFINISHED.items()
    ),
]
