"""Field lines (RFC 9112 section 5, RFC 9110 section 5.5)."""

from tests.http.case import Request, bad, good, head

_VALUES = {
    "plain": ("b", "b"),
    "no-blank": None,
    "empty": ("", ""),
    "blanks-only": (" \t  ", ""),
    "blanks-around": ("  b \t", "b"),
    "tab-behind": ("b\t", "b"),
    "tab-inside": ("b\tc", "b\tc"),
    "blanks-inside": ("b   c", "b   c"),
    "colon": (":b:c:", ":b:c:"),
    "quotes": ('"b\\"c"', '"b\\"c"'),
    "comma": ("b, c,,d", "b, c,,d"),
    "latin-1": ("caf\xe9", "caf\xe9"),
    "utf-8": ("\xe2\x82\xac", "\xe2\x82\xac"),
    "high-ends": ("\x80\xff", "\x80\xff"),
    "nbsp-kept": ("\xa0b\xa0", "\xa0b\xa0"),
    "nel-kept": ("b\x85", "b\x85"),
    "all-visible": ("".join(map(chr, range(0x21, 0x7F))),) * 2,
    "all-high": ("".join(map(chr, range(0x80, 0x100))),) * 2,
    "semicolons": (";;;=", ";;;="),
    "url": ("http://a/#b", "http://a/#b"),
    "crlf-encoded": ("b%0d%0aX: y", "b%0d%0aX: y"),
}
_NAMES = {
    "all-token": "!#$%&'*+-.^_`|~0aZ9",
    "one-letter": "A",
    "digit": "0",
    "underscore": "X_A",
    "dot": "x.a",
    "lower": "x-lower",
    "upper": "X-UPPER",
    "dash": "-",
    "long": "X" * 1000,
    "proto": "__proto__",
}
_BAD_NAMES = {
    "empty": "",
    "blank-before-colon": "X-A ",
    "tab-before-colon": "X-A\t",
    "blank-inside": "X A",
    "blank-first": " X-A",
    "tab-first": "\tX-A",
    "latin-1": "X-\xe9",
    "high": "\xff",
    "nbsp": "X-A\xa0",
    **{f"sep-{ord(mark):02x}": f"X{mark}A" for mark in '"(),/;<=>?@[\\]{}'},
}
_BAD_LINES = {
    "no-colon": ([b"X-A"], "a field has a colon"),
    "no-colon-blank": ([b"X-A b"], "a field has a colon"),
    "colon-only": ([b":"], "an empty name"),
    "fold-space": ([b"X-A: b", b" c"], "obs-fold"),
    "fold-tab": ([b"X-A: b", b"\tc"], "obs-fold"),
    "fold-empty": ([b"X-A: b", b" "], "obs-fold of nothing"),
    "fold-colon": ([b"X-A: b", b" X-B: c"], "obs-fold that looks like a field"),
    "lf-in-value": ([b"X-A: b\nX-B: c"], "bare LF"),
    "lf-end": ([b"X-A: b\n"], "LF CR LF"),
    "lf-lf": ([b"X-A: b\n\nGET /b HTTP/1.1"], "an empty line of LF alone"),
    "cr-in-value": ([b"X-A: b\rX-B: c"], "bare CR"),
    "cr-end": ([b"X-A: b\r"], "CR CR LF"),
    "cr-cr": ([b"X-A: b\r\rX-B: c"], "bare CR, twice"),
    "cr-first": ([b"\rX-A: b"], "bare CR before a name"),
    "cr-in-name": ([b"X-\rA: b"], "bare CR in a name"),
    "request-line": ([b"GET /b HTTP/1.1"], "a second request line"),
    "chunk-size": ([b"5"], "no field"),
}


def _value(id, text, expected):
    reason = "a value as it came, but for the blanks around it"
    return good(f"field/{id}", head("GET / HTTP/1.1", f"X-A: {text}"), reason, _seen({"x-a": expected}))


def _seen(headers):
    return Request(headers=headers)


CASES = [
    *(_value(id, *pair) for id, pair in _VALUES.items() if pair),
    good("field/no-blank", head("GET / HTTP/1.1", "X-A:b"), "OWS is optional", _seen({"x-a": "b"})),
    *(
        good(f"field/name-{id}", head("GET / HTTP/1.1", f"{it}: b"), "a token", _seen({it.lower(): "b"}))
        for id, it in _NAMES.items()
    ),
    *(
        bad(f"field/bad-name-{id}", head("GET / HTTP/1.1", f"{it}: b", "X-B: c"), "no token")
        for id, it in _BAD_NAMES.items()
    ),
    *(
        bad(f"field/{id}", head("GET / HTTP/1.1", *lines), reason)
        for id, (lines, reason) in _BAD_LINES.items()
    ),
    bad("field/blank-first-line", head("GET / HTTP/1.1", " X-A: b", host=None), "a blank behind the line"),
    bad("field/fold-before-host", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", "a folded request line"),
    good(
        "field/repeated",
        head("GET / HTTP/1.1", "X-A: 1", "x-a: 2", "X-a: 3"),
        "lines of one name, in order",
        _seen({"x-a": ["1", "2", "3"]}),
    ),
    good(
        "field/cookies",
        head("GET / HTTP/1.1", "Cookie: a=b", "Cookie: c=d"),
        "lines of one name, in order",
        _seen({"cookie": ["a=b", "c=d"]}),
    ),
    good(
        "field/content-type",
        head("GET / HTTP/1.1", "Content-Type: text/plain"),
        "one",
        _seen({"content-type": "text/plain"}),
    ),
    bad(
        "field/content-type-two",
        head("POST / HTTP/1.1", "Content-Type: text/plain", "Content-Type: text/html", "Content-Length: 0"),
        "two types: which one rules?",
    ),
    bad(
        "field/content-type-equal",
        head("GET / HTTP/1.1", "Content-Type: text/plain", "content-type: text/plain"),
        "two, though equal",
    ),
    good("field/hundred", head("GET / HTTP/1.1", *["X-A: b"] * 99), "as many as may be"),
]
