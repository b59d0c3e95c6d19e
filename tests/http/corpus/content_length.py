"""Content-Length: one field of digits (RFC 9112 section 6.2)."""

from tests.http.case import MAX_BODY, Request, bad, good, head, post

_HELLO = Request("POST", body=b"hello")
_INNER = b"GET /inside HTTP/1.1\r\nHost: inside\r\n\r\n"
_VALID = {
    "plain": "5",
    "zeros": "0005",
    "blanks": " \t5\t ",
    "64-digits": "5".zfill(64),
}
_INVALID = {
    "empty": "",
    "blank": " ",
    "plus": "+5",
    "minus": "-5",
    "minus-zero": "-0",
    "hex": "0x5",
    "hex-digits": "a",
    "underscore": "5_0",
    "space": "5 5",
    "tab": "5\t5",
    "list-equal": "5, 5",
    "list-tight": "5,5",
    "list-other": "5, 6",
    "list-empty": "5,",
    "list-first-empty": ",5",
    "dot": "5.0",
    "exponent": "5e0",
    "letter": "5a",
    "letter-first": "a5",
    "semicolon": "5;a=b",
    "quoted": '"5"',
    "superscript": "\xb2",
    "latin-1": "5\xa0",
    "arabic": "\xd9\xa5",
    "full-width": "\xef\xbc\x95",
    "word": "five",
    "chunked": "chunked",
    "nan": "nan",
    "65-digits": "5".zfill(65),
    "5000-digits": "5" * 5000,
}
_TOO_LARGE = {
    "one-more": str(MAX_BODY + 1),
    "2-31": str(2**31),
    "2-32": str(2**32),
    "2-63": str(2**63),
    "2-64": str(2**64),
    "2-64-and-5": str(2**64 + 5),
    "64-digits": "9" * 64,
}


def _length(value, body=b"hello"):
    return post(f"Content-Length: {value}", body=body)


def _two(first, second, more=()):
    return post(f"Content-Length: {first}", *more, f"Content-Length: {second}", body=b"hello")


CASES = [
    *(good(f"length/{id}", _length(it), "a length", _HELLO) for id, it in _VALID.items()),
    good("length/lower", post("content-length:5", body=b"hello"), "no capitals, no blank", _HELLO),
    good("length/zero", _length("0", b""), "no body", Request("POST")),
    good("length/zeros-only", _length("000", b""), "no body", Request("POST")),
    good("length/none", post(), "a POST without a length has no body", Request("POST")),
    good(
        "length/get",
        head("GET / HTTP/1.1", "Content-Length: 5") + b"hello",
        "a body is read whatever the method",
        Request(body=b"hello"),
    ),
    good(
        "length/body-is-request",
        post(f"Content-Length: {len(_INNER)}", body=_INNER),
        "a body is a body, whatever it looks like",
        Request("POST", body=_INNER),
    ),
    *(bad(f"length/bad-{id}", _length(it), "not 1*DIGIT") for id, it in _INVALID.items()),
    *(bad(f"length/large-{id}", _length(it, b""), "over the limit", 413) for id, it in _TOO_LARGE.items()),
    bad("length/two-equal", _two(5, 5), "two lines, though equal"),
    bad("length/two-other", _two(5, 6), "which one rules?"),
    bad("length/two-zero-first", _two(0, 5), "which one rules?"),
    bad("length/two-zero-last", _two(5, 0), "which one rules?"),
    bad("length/two-apart", _two(5, 5, ["X-A: b"]), "two lines, though equal"),
    bad("length/two-empty", _two("", 5), "which one rules?"),
    bad("length/zero-and-chunked", post("Content-Length: 0", "Transfer-Encoding: chunked"), "CL and TE"),
    bad("length/get-bad", head("GET / HTTP/1.1", "Content-Length: x"), "judged for every method"),
    bad("length/head-bad", head("HEAD / HTTP/1.1", "Content-Length: -1"), "judged for every method"),
    good(
        "length/look-alike",
        post("Content_Length: 7", "X-Content-Length: 9", "Content-Length: 5", body=b"hello"),
        "other names are other fields",
        _HELLO,
    ),
]
