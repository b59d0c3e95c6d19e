"""Chunked bodies (RFC 9112 section 7.1): sizes, extensions, data, trailers, ends."""

from tests.http.case import MAX_BODY, Request, bad, chunked, cut, good

_END = b"0\r\n\r\n"
_WIRE = b"5\r\nhello\r\n" + _END
_INNER = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def _body(data):
    return Request("POST", body=data)


_GOOD = {
    "empty": (_END, b""),
    "one": (_WIRE, b"hello"),
    "two": (b"2\r\nhe\r\n3\r\nllo\r\n" + _END, b"hello"),
    "bytes": (b"".join(b"1\r\n%c\r\n" % byte for byte in range(256)) + _END, bytes(range(256))),
    "lower-hex": (b"a\r\n0123456789\r\n" + _END, b"0123456789"),
    "upper-hex": (b"A\r\n0123456789\r\n" + _END, b"0123456789"),
    "two-digits": (b"1f\r\n" + b"x" * 31 + b"\r\n" + _END, b"x" * 31),
    "mixed-hex": (b"1aB\r\n" + b"x" * 0x1AB + b"\r\n" + _END, b"x" * 0x1AB),
    "zeros-first": (b"0005\r\nhello\r\n" + _END, b"hello"),
    "16-digits": (b"5".zfill(16) + b"\r\nhello\r\n" + _END, b"hello"),
    "end-zeros": (b"5\r\nhello\r\n000\r\n\r\n", b"hello"),
    "end-16-zeros": (b"0" * 16 + b"\r\n\r\n", b""),
    "crlf-data": (b"2\r\n\r\n\r\n" + _END, b"\r\n"),
    "end-data": (b"5\r\n" + _END + b"\r\n" + _END, _END),
    "size-data": (b"3\r\n5\r\n\r\n" + _END, b"5\r\n"),
    "nul-data": (b"3\r\n\0\0\0\r\n" + _END, b"\0\0\0"),
    "request-data": (b"1b\r\n" + _INNER + b"\r\n" + _END, _INNER),
    "large": (b"10000\r\n" + b"y" * 65536 + b"\r\n" + _END, b"y" * 65536),
    "limit": (b"%x\r\n%b\r\n" % (MAX_BODY, b"z" * MAX_BODY) + _END, b"z" * MAX_BODY),
}
_EXTENSIONS = {
    "name": b";a",
    "value": b";a=b",
    "quoted": b';a="b c"',
    "quoted-semicolon": b';a="b;c"',
    "several": b";a=b;c=d;e",
    "empty": b";",
    "blank": b"; a = b",
    "tab": b";\ta",
    "blank-before": b" ;a",
    "blanks-before": b" \t" * 128 + b";a",
    "high": b";a=\xe9",
    "cr-encoded": b";a=%0d%0a",
    "size": b";5",
    "256": b";" + b"x" * 256,
}
_SIZES = {
    "empty": b"",
    "blank": b" ",
    "blank-first": b" 5",
    "tab-first": b"\t5",
    "blank-behind": b"5 ",
    "tab-behind": b"5\t",
    "plus": b"+5",
    "minus": b"-5",
    "hex": b"0x5",
    "hex-upper": b"0X5",
    "underscore": b"0_5",
    "letter": b"g",
    "letter-behind": b"5g",
    "dot": b"5.0",
    "comma": b"5,5",
    "quoted": b'"5"',
    "17-digits": b"5".zfill(17),
    "17-large": b"1" + b"0" * 16,
    "100-digits": b"5".zfill(100),
    "equals": b"5=a",
    "colon": b"5:a",
    "arabic": b"\xd9\xa5",
    "superscript": b"\xb2",
    "nul": b"5\0",
    "vt": b"5\x0b",
    "lf": b"5\n",
    "cr": b"5\r",
    "cr-in": b"\r5",
    "ext-cr": b"5;a\rb",
    "ext-lf": b"5;a\nb",
    "ext-lf-size": b"5;\n",
    "ext-nul": b"5;a\0",
    "ext-del": b"5;a\x7f",
    "ext-esc": b"5;\x1b",
    "ext-blanks": b"5 a;b",
    "ext-blanks-257": b"5" + b" " * 257 + b";a",
    "ext-257": b"5;" + b"x" * 257,
    "ext-64k": b"5;" + b"x" * 65536,
}
_ENDS = {
    "lf-size": (b"5\nhello\r\n" + _END, "bare LF behind the size"),
    "cr-size": (b"5\rhello\r\n" + _END, "bare CR behind the size"),
    "no-crlf": (b"5\r\nhello" + _END, "no CRLF behind the data"),
    "lf-data": (b"5\r\nhello\n" + _END, "bare LF behind the data"),
    "cr-data": (b"5\r\nhello\r" + _END, "bare CR behind the data"),
    "too-short": (b"6\r\nhello\r\n" + _END, "the size says more than there is"),
    "too-long": (b"4\r\nhello\r\n" + _END, "the size says less than there is"),
    "lf-end": (b"5\r\nhello\r\n0\n\n", "bare LF at the end"),
    "lf-last": (b"5\r\nhello\r\n0\r\n\n", "bare LF at the very end"),
    "crlf-twice": (b"5\r\nhello\r\n\r\n" + _END, "an empty line for a size"),
    "double-crlf": (b"5\r\n\r\nhello\r\n" + _END, "an empty line before the data: the data are shifted"),
    "no-chunks": (b"hello", "no size"),
    "fixed": (b"hello\r\n\r\n", "no size"),
}
_TRAILERS = {
    "one": b"X-A: b\r\n",
    "several": b"X-A: b\r\nX-B: c\r\nX-A: d\r\n",
    "host": b"Host: evil\r\n",
    "length": b"Content-Length: 100\r\n",
    "coding": b"Transfer-Encoding: gzip\r\n",
    "two-hosts": b"Host: a\r\nHost: b\r\n",
    "connection": b"Connection: close\r\n",
    "cookie": b"Cookie: a=b\r\n",
    "empty-value": b"X-A:\r\n",
    "high": b"X-A: \xe9\r\n",
    "hundred": b"X-A: b\r\n" * 100,
    "8-kib": b"X-A: " + b"b" * (8192 - 9) + b"\r\n",
}
_BAD_TRAILERS = {
    "no-colon": b"X-A\r\n",
    "blank-before-colon": b"X-A : b\r\n",
    "empty-name": b": b\r\n",
    "fold": b"X-A: b\r\n c\r\n",
    "fold-first": b" X-A: b\r\n",
    "lf": b"X-A: b\nX-B: c\r\n",
    "lf-lf": b"X-A: b\n\n",
    "cr": b"X-A: b\rc\r\n",
    "nul": b"X-A: \0\r\n",
    "esc": b"X-A: \x1b\r\n",
    "name": b"X(A: b\r\n",
    "request": b"GET /smuggled HTTP/1.1\r\n",
}
_HUGE_TRAILERS = {
    "field": b"X-A: " + b"b" * 9000 + b"\r\n",
    "fields": b"X-A: " + b"b" * 100 + b"\r\n",
    "101": b"X-A: b\r\n" * 101,
    "field-32k": b"X-A: " + b"b" * 32768 + b"\r\n",
}
_HUGE_TRAILERS["fields"] *= 90
_UNFINISHED = {
    "no-size": b"",
    "half-size": b"5",
    "size-cr": b"5\r",
    "no-data": b"5\r\n",
    "half-data": b"5\r\nhel",
    "no-data-end": b"5\r\nhello",
    "data-cr": b"5\r\nhello\r",
    "no-last": b"5\r\nhello\r\n",
    "last-size": b"5\r\nhello\r\n0",
    "last-crlf": b"5\r\nhello\r\n0\r\n",
    "last-cr": b"5\r\nhello\r\n0\r\n\r",
    "trailer": b"5\r\nhello\r\n0\r\nX-A: b\r\n",
    "extension": b"5;a=b",
    "huge": b"7fffffffffffffff\r\nhello",
    "huge-16": b"ffffffffffffffff\r\nhello",
}


def _trailers(lines):
    return chunked(body=b"5\r\nhello\r\n0\r\n" + lines + b"\r\n")


_HELLO = Request("POST", headers={"host": "a", "x-a": None, "cookie": None}, body=b"hello")

CASES = [
    *(good(f"chunk/{id}", chunked(body=wire), "chunks", _body(body)) for id, (wire, body) in _GOOD.items()),
    *(
        good(
            f"chunk/ext-{id}",
            chunked(body=b"5" + extension + b"\r\nhello\r\n" + _END),
            "an extension is ignored",
            _body(b"hello"),
        )
        for id, extension in _EXTENSIONS.items()
    ),
    good("chunk/ext-last", chunked(body=b"5\r\nhello\r\n0;a=b\r\n\r\n"), "at the end, too", _body(b"hello")),
    *(
        bad(f"chunk/size-{id}", chunked(body=size + b"\r\nhello\r\n" + _END), "no size")
        for id, size in _SIZES.items()
    ),
    *(bad(f"chunk/end-{id}", chunked(body=wire), reason) for id, (wire, reason) in _ENDS.items()),
    bad(
        "chunk/ext-without-end",
        chunked(body=(b"1;" + b"x" * 255 + b"\r\ny\r\n") * 70 + _END),
        "16 KiB of extensions, beside hardly any data",
    ),
    *(
        good(f"chunk/trailer-{id}", _trailers(it), "judged and dropped", _HELLO)
        for id, it in _TRAILERS.items()
    ),
    *(
        bad(f"chunk/trailer-bad-{id}", _trailers(it), "judged as fields are")
        for id, it in _BAD_TRAILERS.items()
    ),
    *(bad(f"chunk/trailer-huge-{id}", _trailers(it), "too many", 431) for id, it in _HUGE_TRAILERS.items()),
    *(cut(f"chunk/cut-{id}", chunked(body=it), "never a whole request") for id, it in _UNFINISHED.items()),
    bad(
        "chunk/over-limit",
        chunked(body=b"%x\r\n%b\r\n" % (MAX_BODY + 1, b"z" * (MAX_BODY + 1)) + _END),
        "a body over the limit",
        413,
    ),
    bad(
        "chunk/over-limit-in-all",
        chunked(body=(b"10000\r\n" + b"z" * 65536 + b"\r\n") * 17 + _END),
        "a body over the limit, chunk by chunk",
        413,
    ),
]
