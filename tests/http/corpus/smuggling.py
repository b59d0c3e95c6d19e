"""Requests that two servers understand differently: the request inside must never run.

After Linhart and others (2005), Kettle (2019, 2021, 2022), Kuhlmann and Kabra (chunk extensions, 2025).
"""

from tests.http.case import CANARY, Request, bad, chunked, good, head, post

_CHUNKS = b"0\r\n\r\n"
_CODINGS = {
    "blank-before-colon": b"Transfer-Encoding : chunked",
    "tab-before-colon": b"Transfer-Encoding\t: chunked",
    "vt-value": b"Transfer-Encoding: \x0bchunked",
    "ff-value": b"Transfer-Encoding:\x0cchunked",
    "nul-name": b"Transfer-Encoding\0: chunked",
    "nul-value": b"Transfer-Encoding: chunked\0",
    "lf-before": b"X: y\nTransfer-Encoding: chunked",
    "cr-before": b"X: y\rTransfer-Encoding: chunked",
    "folded": b"Transfer-Encoding:\r\n chunked",
    "folded-tab": b"Transfer-Encoding:\r\n\tchunked",
    "leading-blank": b" Transfer-Encoding: chunked",
    "quoted": b'Transfer-Encoding: "chunked"',
    "single-quoted": b"Transfer-Encoding: 'chunked'",
    "x": b"Transfer-Encoding: xchunked",
    "list": b"Transfer-Encoding: chunked, identity",
    "list-turned": b"Transfer-Encoding: identity, chunked",
    "parameter": b"Transfer-Encoding: chunked; a=b",
    "cow": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow",
    "cow-first": b"Transfer-Encoding: cow\r\nTransfer-Encoding: chunked",
    "equal": b"Transfer-Encoding=chunked",
    "high": b"Transfer-Encoding\xa0: chunked",
    "crlf-nul": b"X: \0\r\nTransfer-Encoding: chunked",
    "no-colon": b"Transfer-Encoding chunked",
    "utf-8-bom": b"\xef\xbb\xbfTransfer-Encoding: chunked",
}
_LENGTHS = {
    "blank-before-colon": b"Content-Length : 5",
    "tab-before-colon": b"Content-Length\t: 5",
    "vt": b"Content-Length:\x0b5",
    "nul": b"Content-Length: 5\0",
    "plus": b"Content-Length: +5",
    "folded": b"Content-Length:\r\n 5",
    "lf-before": b"X: y\nContent-Length: 5",
    "cr-before": b"X: y\rContent-Length: 5",
    "list": b"Content-Length: 5, 0",
    "two": b"Content-Length: 5\r\nContent-Length: 0",
    "two-turned": b"Content-Length: 0\r\nContent-Length: 5",
    "negative": b"Content-Length: -5",
    "leading-blank": b" Content-Length: 5",
    "hex": b"Content-Length: 0x5",
    "nbsp": b"Content-Length: 5\xa0",
    "wraps-32": b"Content-Length: 4294967301x",
    "no-colon": b"Content-Length 5",
}
_FORM = {  # chunk framing of which two readings are known
    "lf-size": b"5\nhello\r\n" + _CHUNKS,
    "ext-lf": b"2;\nxx\r\n" + _CHUNKS,
    "ext-cr": b"2;\rxx\r\n" + _CHUNKS,
    "ext-term": b"2;a\n\r\nhi\r\n" + _CHUNKS,
    "two-byte-end": b"2\r\nhiXX" + _CHUNKS,
    "spill": b"5\r\nhello5\r\nhello\r\n" + _CHUNKS,
    "negative": b"-1\r\n\r\n" + _CHUNKS,
    "hex-prefix": b"0x5\r\nhello\r\n" + _CHUNKS,
    "blank-size": b"5 \r\nhello\r\n" + _CHUNKS,
    "overflow-64": b"10000000000000005\r\nhello\r\n" + _CHUNKS,
    "zero-prefix-overflow": b"00000000000000000\r\n\r\n",
    "zero-blank": b"0 \r\n\r\n",
    "zero-lf": b"0\n\r\n",
    "zero-cr": b"0\r\r\n\r\n",
    "underscore": b"0_0\r\n\r\n",
}

CASES = [
    bad(
        "smuggle/cl-te",
        post("Content-Length: 6", "Transfer-Encoding: chunked", body=_CHUNKS + b"G"),
        "CL.TE: the front counts, the back reads chunks",
    ),
    bad(
        "smuggle/te-cl",
        post("Transfer-Encoding: chunked", "Content-Length: 4", body=b"26\r\n" + CANARY + b"\r\n" + _CHUNKS),
        "TE.CL: the front reads chunks, the back counts",
    ),
    bad(
        "smuggle/cl-te-get",
        head("GET / HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked") + _CHUNKS,
        "whatever the method",
    ),
    *(
        bad(f"smuggle/te-{id}", post("Content-Length: 5", line, body=_CHUNKS), "TE.TE: one of them hides")
        for id, line in _CODINGS.items()
    ),
    *(
        bad(f"smuggle/te-only-{id}", post(line, body=_CHUNKS), "a coding that one of them sees")
        for id, line in _CODINGS.items()
        if id not in ("crlf-nul",)
    ),
    *(bad(f"smuggle/cl-{id}", post(line, body=b"hello"), "CL.0, CL.CL") for id, line in _LENGTHS.items()),
    *(bad(f"smuggle/chunk-{id}", chunked(body=wire), "two readings of chunks") for id, wire in _FORM.items()),
    good(
        "smuggle/cl-0",
        post(body=head("GET /b HTTP/1.1"), target="/a"),
        "no length, no body: what follows is a request of its own, and seen as one",
        Request("POST", "/a"),
        Request(target="/b"),
    ),
    bad(
        "smuggle/absolute-host",
        head("GET http://a/ HTTP/1.1", "Host: b"),
        "two hosts behind an absolute target",
    ),
    bad("smuggle/host-folded", head("GET / HTTP/1.1", " Host: b"), "a host that one of them folds away"),
    bad("smuggle/host-blank", head("GET / HTTP/1.1", "Host : b"), "a host that one of them does not see"),
    bad("smuggle/line-in-target", head("GET /%20HTTP/1.1\r\nHost: b HTTP/1.1"), "two lines"),
    bad("smuggle/line-split", head("GET /\r\nHost: b HTTP/1.1"), "a line in two", bare=True),
    bad(
        "smuggle/trailer-as-request",
        chunked(body=b"0\r\nGET /inside HTTP/1.1\r\nHost: b\r\n\r\n"),
        "a request in the place of trailers",
    ),
]
