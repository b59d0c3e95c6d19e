"""Host: one, valid, in HTTP/1.1 required (RFC 9112 section 3.2)."""

from tests.http.case import Request, bad, good, head

_VALID = {
    "name": "example.org",
    "port": "example.org:8080",
    "port-empty": "example.org:",
    "port-large": "a:99999",
    "empty": "",
    "only-port": ":80",
    "ipv4": "127.0.0.1",
    "ipv4-port": "127.0.0.1:80",
    "ipv6": "[::1]",
    "ipv6-port": "[2001:db8::1]:443",
    "ipv6-upper": "[FE80::A]",
    "ipv6-v4": "[::ffff:127.0.0.1]",
    "ipv6-zone": "[fe80::1%eth0]:80",  # no client should send it, but Python's urllib does (RFC 6874)
    "ipv6-zone-escaped": "[fe80::1%25eth0]",
    "ip-future": "[v1.a:b]",
    "underscore": "a_b",
    "tilde": "~a",
    "upper": "EXAMPLE.Org",
    "trailing-dot": "example.org.",
    "percent": "a%20b",
    "sub-delims": "a!$&'()*+;=b",
    "long": "a" * 255,
    "digits": "123",
    "punycode": "xn--bcher-kva.example",
}
_INVALID = {
    "slash": "a/b",
    "path": "a/",
    "question": "a?b",
    "hash": "a#b",
    "at": "u@a",
    "comma": "a,b",
    "comma-blank": "a, b",
    "space": "a b",
    "tab": "a\tb",
    "backslash": "a\\b",
    "quote": 'a"b',
    "angle": "<a>",
    "caret": "a^b",
    "brace": "{a}",
    "pipe": "a|b",
    "backtick": "a`b",
    "url": "http://a",
    "port-word": "a:b",
    "port-negative": "a:-1",
    "two-ports": "a:1:2",
    "ipv6-bare": "::1",
    "ipv6-open": "[::1",
    "ipv6-close": "::1]",
    "ipv6-empty": "[]",
    "ipv6-word": "[xyz]",
    "ipv6-short": "[1:2]",
    "ipv6-colons": "[:::]",
    "ipv6-long": "[1:2:3:4:5:6:7:8:9]",
    "ip-future-bare": "[v1]",
    "ip-future-upper": "[V1.a]",
    "ipv6-is-v4": "[127.0.0.1]",
    "zone-two": "[::1%a%b]",
    "zone-of-a-slash": "[fe80::1%et%2Fh]",
    "ipv6-behind": "[::1]a",
    "ipv6-before": "a[::1]",
    "zone-empty": "[fe80::1%]",
    "zone-slash": "[fe80::1%a/b]",
    "zone-alone": "[%eth0]",
    "ipv6-port-word": "[::1]:a",
    "latin-1": "b\xfccher",
    "high": "\xff",
    "percent-bad": "a%zz",
    "percent-end": "a%",
    "percent-half": "a%2",
}


def _repeated(id, first, *more):
    raw = head("GET / HTTP/1.1", *[f"{name}: {value}" for name, value in more], host=first)
    return bad(f"host/two-{id}", raw, "two hosts: which one rules?")


CASES = [
    *(
        good(f"host/{id}", head(host=value), "a host", Request(headers={"host": value}))
        for id, value in _VALID.items()
    ),
    *(bad(f"host/bad-{id}", head(host=value), "no host") for id, value in _INVALID.items()),
    bad("host/none", head(host=None), "HTTP/1.1 requires it"),
    bad("host/none-post", head("POST / HTTP/1.1", "Content-Length: 0", host=None), "HTTP/1.1 requires it"),
    _repeated("equal", "a", ("Host", "a")),
    _repeated("other", "a", ("Host", "b")),
    _repeated("case", "a", ("hOST", "b")),
    _repeated("empty", "a", ("Host", "")),
    _repeated("empty-first", "", ("Host", "a")),
    _repeated("apart", "a", ("X-A", "1"), ("X-B", "2"), ("Host", "a")),
    _repeated("three", "a", ("Host", "a"), ("host", "a")),
    good("host/blanks", head(host=" \t a \t "), "OWS at both ends", Request(headers={"host": "a"})),
    good(
        "host/no-blank",
        head("GET / HTTP/1.1", "host:a", host=None),
        "no OWS is needed, and no capitals",
        Request(headers={"host": "a"}),
    ),
    bad("host/1.0-two", head("GET / HTTP/1.0", "Host: b"), "two in HTTP/1.0, too"),
    bad("host/1.0-bad", head("GET / HTTP/1.0", host="a/b"), "invalid in HTTP/1.0, too"),
    bad("host/look-alike", head("GET / HTTP/1.1", "Host2: a", "X-Host: a", host=None), "not Host"),
]
