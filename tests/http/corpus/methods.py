"""Methods: any token; which of them exist is up to the application (RFC 9110 section 9)."""

from tests.http.case import Request, bad, good, head

_KNOWN = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"]
_DAV = ["PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "REPORT", "SEARCH", "M-SEARCH"]
_DAV += ["PURGE", "LINK", "QUERY", "SOURCE"]
_ODD = {
    "lower": "get",
    "mixed": "gEt",
    "letter": "G",
    "digits": "123",
    "all-token": "!#$%&'*+-.^_`|~0aZ",
    "long": "M" * 200,
    "connect-lower": "connect",
    "connects": "CONNECTS",
    "pri": "PRI",
    "get-colon-less": "GET.",
}
_BAD = {f"sep-{ord(mark):02x}": f"GE{mark}T" for mark in '"(),/:;<=>?@[\\]{}'}
_BAD |= {"latin-1": "G\xc9T", "utf-8": "G\xc3\x89T", "high": "GET\xff", "brackets": "[GET]"}


def _line(method):
    return head(f"{method} / HTTP/1.1")


CASES = [
    *(good(f"method/{it}", _line(it), "a method", Request(it)) for it in [*_KNOWN, *_DAV]),
    *(good(f"method/odd-{id}", _line(it), "a token", Request(it)) for id, it in _ODD.items()),
    *(bad(f"method/bad-{id}", _line(it), "no token", bare=True) for id, it in _BAD.items()),
    *(
        good(
            f"method/body-{it}",
            head(f"{it} / HTTP/1.1", "Content-Length: 2") + b"ab",
            "a body is read, whatever the method",
            Request(it, body=b"ab"),
        )
        for it in ("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get")
    ),
    good(
        "method/head-then-get",
        head("HEAD / HTTP/1.1") + head("GET /b HTTP/1.1"),
        "no body in the reply to HEAD",
        Request("HEAD"),
        Request(target="/b"),
    ),
    bad("method/head-too-large", head("HEAD / HTTP/1.1", "Content-Length: 99999999"), "refused", 413),
    bad("method/head-no-host", head("HEAD / HTTP/1.1", host=None), "refused"),
    bad("method/connect-body", head("CONNECT a:1 HTTP/1.1", "Content-Length: 1") + b"x", "not a proxy", 405),
    bad("method/connect-1.0", head("CONNECT a:1 HTTP/1.0"), "not a proxy", 405),
]
