"""The request line: three parts, one space between them, CRLF (RFC 9112 section 3)."""

from tests.http.case import bad, good, head

#: What is not a request line at all, as is clear at its end at the latest.
_MALFORMED = {
    "no-version": ("GET /", "HTTP/0.9"),
    "no-target": ("GET HTTP/1.1", "two parts"),
    "no-method": (" / HTTP/1.1", "nothing before the first space"),
    "empty-target": ("GET  HTTP/1.1", "nothing between the spaces"),
    "two-spaces-first": ("GET  / HTTP/1.1", "one SP, no more"),
    "two-spaces-second": ("GET /  HTTP/1.1", "one SP, no more"),
    "tab-first": ("GET\t/ HTTP/1.1", "SP, no HTAB"),
    "tab-second": ("GET /\tHTTP/1.1", "SP, no HTAB"),
    "tab-and-space": ("GET \t/ HTTP/1.1", "SP, no HTAB"),
    "space-behind": ("GET / HTTP/1.1 ", "nothing behind the version"),
    "tab-behind": ("GET / HTTP/1.1\t", "nothing behind the version"),
    "word-behind": ("GET / HTTP/1.1 x", "four parts"),
    "space-in-target": ("GET /a b HTTP/1.1", "a second space: where does the target end?"),
    "leading-space": (" GET / HTTP/1.1", "no blank before the method"),
    "leading-tab": ("\tGET / HTTP/1.1", "no blank before the method"),
    "one-word": ("hello", "no request line"),
    "colon-line": ("Host: a", "a field, no request line"),
    "reply": ("HTTP/1.1 200 OK", "a status line"),
    "ftp": ("USER anonymous", "another protocol"),
    "rtsp": ("GET / RTSP/1.0", "another protocol's version"),
    "icy": ("GET / ICY/1.0", "another protocol's version"),
    "quoted": ('"GET / HTTP/1.1"', "a quote is no token character"),
    "cr-only-first": ("GET / HTTP/1.1\rHost: x", "bare CR is no line's end"),
    "cr-doubled": ("GET / HTTP/1.1\r", "CR CR LF"),
    "nbsp": ("GET\xa0/ HTTP/1.1", "no-break space is no SP"),
    "vt": ("GET\x0b/ HTTP/1.1", "VT is no SP"),
    "ff": ("GET /\x0cHTTP/1.1", "FF is no SP"),
    "unicode-space": (b"GET \xe2\x80\x83/ HTTP/1.1", "EM SPACE is no part of a target"),
    "url-only": ("http://a/", "no method, no version"),
    "lf-in-target": ("GET /\n HTTP/1.1", "a bare LF in the line"),
}
_NO_HTTP_AT_ALL = {
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS client on a plain port"),
    "tls-ssl2": (b"\x80\x2e\x01\x03\x01\x00\x15", "an old TLS client on a plain port"),
    "ssh": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "an SSH client"),
    "proxy-v1": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "the PROXY protocol, which nobody asked for"),
    "proxy-v2": (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes(12), "the PROXY protocol, binary"),
    "smtp": (b"EHLO a\r\nMAIL FROM:<a@b>\r\n\r\n", "a mail client"),
    "redis": (b"*1\r\n$4\r\nPING\r\n\r\n", "a Redis client"),
    "nul-first": (b"\x00GET / HTTP/1.1\r\nHost: a\r\n\r\n", "NUL"),
    "bom": (b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", "a byte order mark"),
    "bom-16": (b"\xff\xfeG\x00E\x00T\x00 \x00", "UTF-16"),
    "chunk-size": (b"{}\r\n\r\n", "a body that lost its head"),
}

#: Whoever begins with a method and a space, and names HTTP, can read a whole reply.
_BARE = {
    *("no-version", "no-method", "tab-first", "leading-space", "leading-tab", "one-word", "colon-line"),
    *("reply", "ftp", "rtsp", "icy", "quoted", "nbsp", "vt", "url-only"),
}

CASES = [
    good("line/plain", head(), "the shortest request there is"),
    *(bad(f"line/{id}", head(line), reason, bare=id in _BARE) for id, (line, reason) in _MALFORMED.items()),
    *(
        bad(f"line/foreign-{id}", raw, reason, bare=None if b"\n" in raw.replace(b"\r\n", b"") else True)
        for id, (raw, reason) in _NO_HTTP_AT_ALL.items()
    ),
    bad("line/lf-end", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "bare LF ends no line", bare=None),
    bad("line/lf-everywhere", b"GET / HTTP/1.1\nHost: a\n\n", "bare LF ends no line", bare=None),
    bad("line/lf-cr", b"GET / HTTP/1.1\n\rHost: a\r\n\r\n", "the wrong way round", bare=None),
]
