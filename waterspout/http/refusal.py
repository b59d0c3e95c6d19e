"""The answer to a request that is refused before any handler could answer. Pure but for the clock."""

from __future__ import annotations

from http import HTTPStatus

from waterspout.exceptions import NotHTTP, RequestRefused
from waterspout.message.origin import SERVER, http_date


def serialize_refusal(refused: RequestRefused, method: str, request_id: str = "") -> bytes:
    """Return a whole reply: status line, fields, and a short text. It is the connection's last.

    `request_id`: a token, for X-Request-Id; "": the reply has none.
    """
    status = refused.status
    if isinstance(refused, NotHTTP):
        # The client may know nothing of fields: only the status line, as Tornado answers.
        return b"HTTP/1.1 400 Bad Request\r\n\r\n"
    phrase = HTTPStatus(status).phrase
    body = f"{status} {phrase}\n"
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Date: {http_date()}\r\n"
        f"Server: {SERVER}\r\n"
        "Connection: close\r\n"
    )
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # CONNECT: no target of it allows anything
        head += "Allow: \r\n"
    if request_id:
        head += f"X-Request-Id: {request_id}\r\n"
    head += "\r\n"
    return (head if method == "HEAD" else head + body).encode("ascii")
