"""Transfer-Encoding: `chunked` and nothing else (RFC 9112 section 6.1)."""

from tests.http.case import Request, bad, chunked, good, post

_WIRE = b"5\r\nhello\r\n0\r\n\r\n"
_HELLO = Request("POST", body=b"hello")
_VALID = {
    "plain": "chunked",
    "upper": "CHUNKED",
    "mixed": "cHuNkEd",
    "blanks": " \t chunked \t ",
}
_INVALID = {
    "empty": "",
    "identity": "identity",
    "gzip": "gzip",
    "gzip-chunked": "gzip, chunked",
    "chunked-gzip": "chunked, gzip",
    "chunked-identity": "chunked, identity",
    "identity-chunked": "identity, chunked",
    "chunked-twice": "chunked, chunked",
    "chunked-tight": "chunked,chunked",
    "comma-behind": "chunked,",
    "comma-first": ",chunked",
    "parameter": "chunked;q=1",
    "semicolon": "chunked;",
    "quoted": '"chunked"',
    "prefix": "xchunked",
    "suffix": "chunkedx",
    "inner-blank": "chunk ed",
    "short": "chunke",
    "two-words": "chunked chunked",
    "nbsp": "\xa0chunked",
    "nbsp-behind": "chunked\xa0",
    "nel": "chunked\x85",
    "vt": "\x0bchunked",
    "ff": "chunked\x0c",
    "nul": "chunked\x00",
    "cr": "\rchunked",
    "deflate": "deflate",
    "compress": "compress",
    "trailers": "trailers",
    "cow": "cow",
    "long-s": "chun\xc5\xbfked",
    "kelvin": "chun\xe2\x84\xaaed",
}
_LENGTH_AND_CODING = {
    "length-first": ("Content-Length: 5", "Transfer-Encoding: chunked"),
    "coding-first": ("Transfer-Encoding: chunked", "Content-Length: 5"),
    "identity": ("Content-Length: 5", "Transfer-Encoding: identity"),
    "empty-coding": ("Content-Length: 5", "Transfer-Encoding:"),
    "bad-length": ("Content-Length: x", "Transfer-Encoding: chunked"),
    "large-length": ("Content-Length: 99999999999", "Transfer-Encoding: chunked"),
}

CASES = [
    *(
        good(f"coding/{id}", post(f"Transfer-Encoding: {it}", body=_WIRE), "chunked", _HELLO)
        for id, it in _VALID.items()
    ),
    good("coding/lower", post("transfer-encoding:chunked", body=_WIRE), "chunked", _HELLO),
    good("coding/te-field", chunked("TE: trailers", body=_WIRE), "TE is another field", _HELLO),
    good(
        "coding/content-encoding",
        chunked("Content-Encoding: gzip", body=_WIRE),
        "the application's matter",
        Request("POST", headers={"content-encoding": "gzip"}, body=b"hello"),
    ),
    good(
        "coding/look-alike",
        post("Transfer_Encoding: x", "X-Transfer-Encoding: y"),
        "other names",
        Request("POST"),
    ),
    *(
        bad(f"coding/bad-{id}", post(f"Transfer-Encoding: {it}", body=_WIRE), "not exactly `chunked`")
        for id, it in _INVALID.items()
    ),
    *(
        bad(f"coding/both-{id}", post(*lines, body=_WIRE), "a length and a coding")
        for id, lines in _LENGTH_AND_CODING.items()
    ),
    bad("coding/two", chunked("Transfer-Encoding: chunked", body=_WIRE), "chunked twice"),
    bad("coding/two-identity", chunked("Transfer-Encoding: identity", body=_WIRE), "two codings"),
    bad("coding/two-empty", chunked("Transfer-Encoding:", body=_WIRE), "a second, empty line"),
    bad("coding/two-case", chunked("transfer-encoding: CHUNKED", body=_WIRE), "chunked twice"),
    bad(
        "coding/1.0",
        post("Transfer-Encoding: chunked", body=_WIRE, version="1.0"),
        "HTTP/1.0 knows no codings (RFC 9112 section 6.1)",
    ),
    bad(
        "coding/1.0-keep-alive",
        post("Transfer-Encoding: chunked", "Connection: keep-alive", body=_WIRE, version="1.0"),
        "HTTP/1.0 knows no codings",
    ),
    bad("coding/1.0-identity", post("Transfer-Encoding: identity", version="1.0"), "HTTP/1.0"),
]
