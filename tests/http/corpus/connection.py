"""Connection and keep-alive (RFC 9112 section 9.3): nothing after a last request is run."""

from tests.http.case import CANARY, Request, bad, good, head, post

_STAYS = {  # of HTTP/1.1
    "keep-alive": ["keep-alive"],
    "upper": ["Keep-Alive"],
    "other": ["X-Something"],
    "te": ["TE"],
    "closed": ["closed"],
    "not-close": ["not-close"],
    "close-quoted": ['"close"'],
    "close-parameter": ["close;q=0"],
    "empty": [""],
    "commas": [",, ,"],
    "two-lines": ["keep-alive", "X-Something"],
}
_CLOSES = {
    "close": ["close"],
    "upper": ["CLOSE"],
    "mixed": ["cLoSe"],
    "blanks": ["  close \t"],
    "list-first": ["close, X-A"],
    "list-last": ["X-A, close"],
    "list-middle": ["X-A,close,X-B"],
    "list-tabs": ["X-A\t,\tclose"],
    "both": ["keep-alive, close"],
    "both-turned": ["close, keep-alive"],
    "line-last": ["keep-alive", "close"],
    "line-first": ["close", "keep-alive"],
    "twice": ["close", "close"],
    "comma": ["close,"],
    "upgrade": ["Upgrade, close"],
}
_OLD_STAYS = {  # of HTTP/1.0
    "keep-alive": ["keep-alive"],
    "upper": ["Keep-Alive"],
    "list": ["X-A, keep-alive"],
    "list-tight": ["keep-alive,X-A"],
    "lines": ["X-A", "keep-alive"],
}
_OLD_CLOSES = {
    "none": [],
    "close": ["close"],
    "other": ["X-A"],
    "empty": [""],
    "both": ["keep-alive, close"],
    "both-lines": ["keep-alive", "close"],
    "prefix": ["keep-alives"],
    "proxy": ["Proxy-Connection"],
}


def _fields(values):
    return [f"Connection: {value}" for value in values]


def _old(values):
    return head("GET / HTTP/1.0", *_fields(values))


CASES = [
    good("connection/none", head(), "HTTP/1.1 stays"),
    *(
        good(f"connection/stays-{id}", head("GET / HTTP/1.1", *_fields(values)), "no `close` in it")
        for id, values in _STAYS.items()
    ),
    *(
        good(
            f"connection/closes-{id}",
            head("GET / HTTP/1.1", *_fields(values)) + CANARY,
            "`close` in it: the last one",
            closes=True,
        )
        for id, values in _CLOSES.items()
    ),
    *(
        good(f"connection/1.0-stays-{id}", _old(values), "`keep-alive` in it", Request(version="HTTP/1.0"))
        for id, values in _OLD_STAYS.items()
    ),
    *(
        good(
            f"connection/1.0-closes-{id}",
            _old(values) + CANARY,
            "no `keep-alive`, or a `close`: the last one",
            Request(version="HTTP/1.0"),
            closes=True,
        )
        for id, values in _OLD_CLOSES.items()
    ),
    good(
        "connection/close-with-body",
        post("Connection: close", "Content-Length: 5", body=b"hello" + CANARY),
        "the body still belongs to it",
        Request("POST", body=b"hello"),
        closes=True,
    ),
    good(
        "connection/close-with-chunks",
        post("Connection: close", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n" + CANARY),
        "the body still belongs to it",
        Request("POST", body=b"a"),
        closes=True,
    ),
    good(
        "connection/close-then-garbage",
        head("GET / HTTP/1.1", "Connection: close") + b"\0\1\2 no request\r\n\r\n",
        "what stands behind is not looked at",
        closes=True,
    ),
    good(
        "connection/close-second",
        head() + head("GET /b HTTP/1.1", "Connection: close") + CANARY,
        "the second is the last",
        Request(),
        Request(target="/b"),
        closes=True,
    ),
    good(
        "connection/names-length",
        post("Connection: Content-Length", "Content-Length: 5", body=b"hello"),
        "naming a field there does not undo it",
        Request("POST", body=b"hello"),
    ),
    good(
        "connection/names-host",
        head("GET / HTTP/1.1", "Connection: Host"),
        "naming a field there does not undo it",
        Request(headers={"host": "a"}),
    ),
    good(
        "connection/proxy-connection",
        head("GET / HTTP/1.1", "Proxy-Connection: close"),
        "no field of ours",
    ),
    good(
        "connection/keep-alive-field",
        head("GET / HTTP/1.1", "Keep-Alive: timeout=0, max=0"),
        "what the client hopes for",
    ),
    bad(
        "connection/bad-value",
        head("GET / HTTP/1.1", "Connection: close\x0b"),
        "a control character here as anywhere",
    ),
]
