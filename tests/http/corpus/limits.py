"""The limits: just inside, just outside, and far outside."""

from tests.http.case import Request, bad, cut, good, head

_LINE = 8190
_HEAD = 65536
_FIELD = 16384


def _line_of(size):
    return "GET /" + "x" * (size - len("GET / HTTP/1.1")) + " HTTP/1.1"


def _field_of(size, name="X-A"):
    return f"{name}: " + "b" * (size - len(name))


def _head_of(size):
    """A head of `size` bytes before its last two CRLF, no field too large."""
    fields = [_field_of(15000)] * 4
    rest = size - len(head("GET / HTTP/1.1", *fields)) + 4
    return head("GET / HTTP/1.1", *fields, "X-A: " + "b" * (rest - 7))


_SEEN = Request(target="/" + "x" * (_LINE - len("GET / HTTP/1.1")))

CASES = [
    good("limit/line", head(_line_of(_LINE)), "the longest request line", _SEEN),
    bad("limit/line-one-more", head(_line_of(_LINE + 1)), "one byte more", 414),
    bad("limit/line-20k", head(_line_of(20000)), "far over", 414),
    bad("limit/line-64k", head(_line_of(_HEAD)), "far over", 414),
    bad("limit/line-200k", head(_line_of(200000)), "far over", 414),
    bad("limit/line-without-end", b"GET /" + b"x" * 10000, "over, and no end", 414),
    bad("limit/line-one-word", b"x" * 10000, "over, and no part of a line to be seen", 414),
    bad("limit/line-method", head("M" * 9000 + " / HTTP/1.1"), "a method without end", 414),
    cut("limit/line-unfinished", b"GET /" + b"x" * 8000, "not over yet"),
    good("limit/fields", head("GET / HTTP/1.1", *["X-A: b"] * 99), "100 fields with Host"),
    bad("limit/fields-one-more", head("GET / HTTP/1.1", *["X-A: b"] * 100), "101 fields", 431),
    bad("limit/fields-1000", head("GET / HTTP/1.1", *["X-A: b"] * 1000), "1000 fields", 431),
    bad("limit/fields-short", head("GET / HTTP/1.1", *["a:"] * 10000), "10000 fields, empty ones", 431),
    bad("limit/fields-names", head("GET / HTTP/1.1", *[f"X-{n}: b" for n in range(500)]), "500 names", 431),
    good("limit/field", head("GET / HTTP/1.1", _field_of(_FIELD)), "name and value: 16 KiB"),
    bad("limit/field-one-more", head("GET / HTTP/1.1", _field_of(_FIELD + 1)), "one byte more", 431),
    bad("limit/field-name", head("GET / HTTP/1.1", "X" * (_FIELD + 1) + ":"), "a name over 16 KiB", 431),
    bad("limit/field-name-60k", head("GET / HTTP/1.1", "X" * 60000 + ":"), "a name far over", 431),
    bad("limit/field-cookie", head("GET / HTTP/1.1", _field_of(30000, "Cookie")), "a cookie jar", 431),
    bad("limit/host", head(host="a" * (_FIELD + 1)), "a field like others", 431),
    good("limit/head", _head_of(_HEAD), "the largest head"),
    bad("limit/head-one-more", _head_of(_HEAD + 1), "one byte more", 431),
    bad(
        "limit/head-many", head("GET / HTTP/1.1", *[_field_of(16000)] * 5), "80 KiB, no field too large", 431
    ),
    bad("limit/head-500k", head("GET / HTTP/1.1", *[_field_of(16000)] * 30), "far over", 431),
    bad("limit/head-field", head("GET / HTTP/1.1", _field_of(100000)), "one field over all of them", 431),
    bad("limit/head-without-end", head("GET / HTTP/1.1")[:-2] + b"X-A: b\r\n" * 9000, "no end", 431),
    bad("limit/head-blanks", head("GET / HTTP/1.1", "X-A:" + " " * 70000), "blanks count, too", 431),
    cut("limit/head-unfinished", head("GET / HTTP/1.1")[:-2] + b"X-A: b\r\n" * 50, "not over yet"),
]
