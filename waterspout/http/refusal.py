"""The answer to a request that is refused before any handler could answer. Pure but for the clock."""

from __future__ import annotations

from http import HTTPStatus

from waterspout.origin import SERVER, http_date


def serialize_refusal(status: int, method: str) -> bytes:
    """A whole reply: status line, fields, and a short text. It is the connection's last."""
    phrase = HTTPStatus(status).phrase
    body = f"{status} {phrase}\n"
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Date: {http_date()}\r\n"
        f"Server: {SERVER}\r\n"
        "Connection: close\r\n"
        "\r\n"
    )
    return (head if method == "HEAD" else head + body).encode("ascii")
