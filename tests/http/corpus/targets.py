"""Request targets (RFC 9112 section 3.2): four forms, of which two are ordinary and one is refused."""

from tests.http.case import CANARY, Request, bad, good, head

_ORIGIN = {
    "root": "/",
    "path": "/a/b/c.html",
    "query": "/a?b=c&d=e",
    "query-empty": "/?",
    "query-marks": "/a?b?c?d",
    "two-slashes": "//host/p",
    "many-slashes": "////",
    "dots": "/../../etc/passwd",
    "dot": "/./a/.",
    "encoded-slash": "/a%2Fb",
    "encoded-dots": "/%2e%2e/a",
    "encoded-nul": "/a%00b",
    "encoded-crlf": "/a%0d%0aX: y".replace(" ", "%20"),
    "encoded-twice": "/%2541",
    "percent-alone": "/100%",
    "percent-bad": "/%zz%u1234",
    "quote": '/it\'s"quoted"',
    "angles": "/<script>",
    "backslash": "/a\\b",
    "braces": "/{a}|`^~",
    "brackets": "/[::1]",
    "all-punctuation": "/!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "url-in-path": "/http://b/c",
    "semicolons": "/a;b=c;d/e;f",
    "star": "/*",
    "colon": "/a:b",
    "at": "/@a",
    "long": "/" + "x" * 4000,
    "long-query": "/?" + "a=b&" * 150,
}
_ABSOLUTE = {  # target, what Host becomes
    "plain": ("http://b/c?d", "b"),
    "https": ("https://b/c", "b"),
    "upper": ("HTTP://b/c", "b"),
    "mixed": ("hTtPs://b/", "b"),
    "port": ("http://b:8080/", "b:8080"),
    "port-empty": ("http://b:/", "b:"),
    "no-path": ("http://b", "b"),
    "query-only": ("http://b?c", "b"),
    "ipv6": ("http://[::1]:80/", "[::1]:80"),
    "userinfo": ("http://user:pw@b/", "b"),
    "case-kept": ("http://B.Example/", "B.Example"),
    "dots": ("http://b/../c", "b"),
}
_BAD = {
    "star-get": ("GET *", "`*` is for OPTIONS"),
    "star-post": ("POST *", "`*` is for OPTIONS"),
    "star-more": ("OPTIONS *a", "`*` stands alone"),
    "star-slash": ("OPTIONS */", "`*` stands alone"),
    "relative": ("GET a/b", "a path begins with a slash"),
    "query-first": ("GET ?a", "a path begins with a slash"),
    "dot-first": ("GET ./a", "a path begins with a slash"),
    "backslash-first": ("GET \\a", "a path begins with a slash"),
    "encoded-first": ("GET %2Fa", "a path begins with a slash"),
    "authority": ("GET a:80", "authority-form is for CONNECT"),
    "no-slashes": ("GET http:/a", "no authority"),
    "one-colon": ("GET http:a", "no authority"),
    "ftp": ("GET ftp://a/", "a scheme of which nothing is known here"),
    "ws": ("GET ws://a/", "a scheme of which nothing is known here"),
    "file": ("GET file:///etc/passwd", "a scheme of which nothing is known here"),
    "javascript": ("GET javascript:alert(1)", "a scheme of which nothing is known here"),
    "no-authority": ("GET http:///a", "empty authority"),
    "no-host": ("GET http://:80/", "an empty host in a URL (RFC 9110 section 4.2.1)"),
    "user-only": ("GET http://user@/", "an empty host in a URL"),
    "bad-port": ("GET http://a:b/", "a port is digits"),
    "two-ports": ("GET http://a:1:2/", "one port"),
    "backslash": ("GET http://a\\b/", "no host has a backslash: who reads which host?"),
    "open-bracket": ("GET http://[::1/", "a bracket that is not closed"),
    "two-at": ("GET http://a@b@c/", "no `@` in userinfo: who reads which host?"),
    "percent-host": ("GET http://a%zz/", "no percent-encoding"),
}
_NOT_VISIBLE = {
    "fragment": (b"/a#b", "a fragment is never sent"),
    "fragment-only": (b"#", "a fragment is never sent"),
    "fragment-url": (b"http://a/#b", "a fragment is never sent"),
    "latin-1": (b"/\xe9", "not ASCII"),
    "utf-8": (b"/\xc3\xa9", "not ASCII"),
    "high": (b"/\xff", "not ASCII"),
    "c1": (b"/\x85", "a C1 control character"),
    "del": (b"/\x7f", "DEL"),
}


def _refused(id, line, reason):
    return bad(f"target/bad-{id}", head(f"{line} HTTP/1.1"), reason)


CASES = [
    *(
        good(
            f"target/{id}", head(f"GET {target} HTTP/1.1"), "origin-form, as it came", Request(target=target)
        )
        for id, target in _ORIGIN.items()
    ),
    *(
        good(
            f"target/absolute-{id}",
            head(f"GET {target} HTTP/1.1", host="front"),
            "absolute-form: its authority is the host",
            Request(target=target, headers={"host": host}),
        )
        for id, (target, host) in _ABSOLUTE.items()
    ),
    good(
        "target/absolute-same-host",
        head("GET http://a/b HTTP/1.1"),
        "absolute-form, and Host says the same",
        Request(target="http://a/b", headers={"host": "a"}),
    ),
    good(
        "target/star-options",
        head("OPTIONS * HTTP/1.1"),
        "asterisk-form",
        Request("OPTIONS", "*"),
    ),
    good("target/options-path", head("OPTIONS /a HTTP/1.1"), "not the server", Request("OPTIONS", "/a")),
    *(_refused(id, line, reason) for id, (line, reason) in _BAD.items()),
    bad(
        "target/absolute-bad-host",
        head("GET http://b/ HTTP/1.1", host="x/y"),
        "Host is replaced, but must be valid all the same",
    ),
    bad(
        "target/absolute-no-host",
        head("GET http://b/ HTTP/1.1", host=None),
        "a client must send Host with absolute-form, too (RFC 9112 section 3.2)",
    ),
    *(
        bad(f"target/{id}", head(b"GET " + target + b" HTTP/1.1"), reason)
        for id, (target, reason) in _NOT_VISIBLE.items()
    ),
    *(
        bad(f"target/connect-{id}", head(f"CONNECT {target} HTTP/1.1"), "this is not a proxy", 405)
        for id, target in {"authority": "a:443", "path": "/", "url": "http://a/", "star": "*"}.items()
    ),
    bad("target/connect-tunnel", head("CONNECT a:80 HTTP/1.1") + CANARY, "no tunnel", 405),
]
