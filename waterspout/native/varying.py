"""Replies that depend on the request's cookies, and tell caches so (RFC 9110 section 12.5.5)."""

from __future__ import annotations

from typing import Any, Final

from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler

#: On a request: its reply gets that field, even if the handler's headers are replaced first.
MARK: Final = "depends_on_cookies"


def vary_with_cookies(handler: RequestHandler) -> None:
    """Make the reply say `Vary: Cookie`, even if it is an error. Does nothing once its head is out."""
    if getattr(handler, "_headers_written", True):  # a test's stand-in lacks it
        return
    say_cookie(handler._headers)
    # `send_error()` makes new headers, and the reply to an unknown user depends on cookies just the same.
    request: Any = handler.request
    setattr(request, MARK, True)


def say_cookie(headers: HTTPHeaders) -> None:
    """Add Cookie to the names in Vary unless it, or `*`, is there."""
    names = [name.strip() for name in headers.get("Vary", "").split(",")]
    if not {"*", "cookie"}.intersection(name.lower() for name in names):
        headers["Vary"] = ", ".join(filter(None, [*names, "Cookie"]))
