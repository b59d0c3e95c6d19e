"""Replies that depend on the request's cookies, and tell caches so (RFC 9110 section 12.5.5)."""

from __future__ import annotations

from typing import Any, Final

from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler

#: On a request: its reply says so, whatever becomes of the handler's headers until then.
MARK: Final = "depends_on_cookies"


def vary_with_cookies(handler: RequestHandler) -> None:
    """Let the reply say `Vary: Cookie`, if it is an error's, too. When its head is out, this does nothing."""
    if getattr(handler, "_headers_written", True):  # or a test's stand-in
        return
    say_cookie(handler._headers)
    # `send_error()` makes new headers, and those of an answer to somebody unknown depend on it the same.
    request: Any = handler.request
    setattr(request, MARK, True)


def say_cookie(headers: HTTPHeaders) -> None:
    """Add Cookie to the names in Vary, unless it is among them."""
    names = [name.strip() for name in headers.get("Vary", "").split(",")]
    if not {"*", "cookie"}.intersection(name.lower() for name in names):
        headers["Vary"] = ", ".join(filter(None, [*names, "Cookie"]))
