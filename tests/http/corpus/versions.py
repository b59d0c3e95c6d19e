"""Versions: 1.0, and 1.1 to 1.9; another major one is refused by name, anything else is no request line."""

from tests.http.case import Request, bad, good, head

_LATER = ["1.2", "1.9"]
_OTHER = ["0.0", "0.9", "2.0", "2.1", "3.0", "9.9"]
_NONE = {
    "lower": "http/1.1",
    "mixed": "Http/1.1",
    "no-minor": "HTTP/1",
    "no-minor-two": "HTTP/2",
    "no-number": "HTTP/",
    "no-slash": "HTTP1.1",
    "word": "HTTP",
    "two-digits": "HTTP/1.10",
    "two-major": "HTTP/11.1",
    "leading-zero": "HTTP/01.1",
    "three": "HTTP/1.1.1",
    "comma": "HTTP/1,1",
    "minus": "HTTP/-1.1",
    "letter": "HTTP/1.x",
    "space": "HTTP/ 1.1",
    "space-before": "HTTP /1.1",
    "hex": "HTTP/0x1.1",
    "https": "HTTPS/1.1",
    "arabic": b"HTTP/\xd9\xa1.\xd9\xa1",
    "full-width": "HTTP/\xb9.\xb9",
}


def _line(version):
    return b"GET / " + (version if isinstance(version, bytes) else version.encode("latin-1"))


CASES = [
    good("version/1.1", head("GET / HTTP/1.1"), "ours"),
    good("version/1.0", head("GET / HTTP/1.0"), "ours", Request(version="HTTP/1.0"), closes=True),
    *(good(f"version/{it}", head(f"GET / HTTP/{it}"), "as 1.1 (RFC 9110, 2.5)") for it in _LATER),
    *(bad(f"version/{it}", head(f"GET / HTTP/{it}"), "a version not spoken here", 505) for it in _OTHER),
    *(bad(f"version/none-{id}", head(_line(it)), "no version") for id, it in _NONE.items()),
    bad(
        "version/2.0-preface",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 with prior knowledge: refused, and what follows is not read as a request",
        505,
    ),
]
