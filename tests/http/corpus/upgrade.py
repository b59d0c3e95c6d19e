"""Upgrade, where no handler takes it: the request is an ordinary one, its body is read as always."""

from tests.http.case import CANARY, Request, bad, good, head, post

_H2C = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"]
_WEBSOCKET = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
]
_KINDS = {
    "h2c": _H2C,
    "websocket": _WEBSOCKET,
    "tls": ["Connection: Upgrade", "Upgrade: TLS/1.2"],
    "list": ["Connection: upgrade", "Upgrade: a/1, b, c"],
    "empty": ["Connection: Upgrade", "Upgrade:"],
    "no-upgrade": ["Connection: Upgrade"],
    "no-connection": ["Upgrade: websocket"],
}
_CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"
_INNER = b"GET /inside HTTP/1.1\r\nHost: inside\r\n\r\n"


def _named(id):
    value = next((line for line in _KINDS[id] if line.startswith("Upgrade")), None)
    return {"upgrade": value and value.partition(":")[2].strip()}


def _of_kind(id, fields):
    seen = _named(id)
    length = ["Content-Length: 5", *fields]
    inner = [*fields, f"Content-Length: {len(_INNER)}"]
    return [
        good(f"upgrade/{id}", head("GET / HTTP/1.1", *fields), "ignored", Request(headers=seen)),
        good(
            f"upgrade/{id}-length",
            post(*length, body=b"hello"),
            "the body is read",
            Request("POST", headers=seen, body=b"hello"),
        ),
        good(
            f"upgrade/{id}-chunked",
            post(*fields, "Transfer-Encoding: chunked", body=_CHUNKS),
            "the body is read",
            Request("POST", headers=seen, body=b"hello"),
        ),
        good(
            f"upgrade/{id}-inner",
            post(*inner, body=_INNER),
            "the body never runs as a request",
            Request("POST", body=_INNER),
        ),
    ]


CASES = [
    *(case for id, fields in _KINDS.items() for case in _of_kind(id, fields)),
    good(
        "upgrade/h2c-close",
        head("GET / HTTP/1.1", "Connection: Upgrade, close", "Upgrade: h2c") + CANARY,
        "`close` counts all the same",
        closes=True,
    ),
    good(
        "upgrade/1.0",
        head("GET / HTTP/1.0", *_WEBSOCKET),
        "HTTP/1.0 has none",
        Request(version="HTTP/1.0"),
        closes=True,
    ),
    bad("upgrade/h2c-both", post(*_H2C, "Content-Length: 5", "Transfer-Encoding: chunked"), "CL and TE"),
    bad(
        "upgrade/h2c-then-frames",
        head("GET / HTTP/1.1", *_H2C) + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "HTTP/2 does not begin by itself",
        505,
        before=[Request()],
    ),
    bad(
        "upgrade/websocket-then-frames",
        head("GET / HTTP/1.1", *_WEBSOCKET) + b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
        "no WebSocket begins by itself",
        before=[Request()],
        bare=True,
    ),
]
