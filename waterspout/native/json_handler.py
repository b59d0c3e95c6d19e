"""Handlers that answer in JSON, errors too."""

from __future__ import annotations

from http.client import responses
from typing import Any

from tornado.web import HTTPError
from tornado.web import RequestHandler as TornadoRequestHandler

from waterspout.limits import NATIVE_RETRY_AFTER
from waterspout.native.handler import RequestHandler


class JSONErrors(TornadoRequestHandler):
    """Answers errors with `{"error": "Not Found"}`; a mixin for any of Tornado's handlers."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write the error without its cause; in debug mode, the traceback that Tornado writes."""
        is_traced = "exc_info" in kwargs and self.settings.get("serve_traceback")
        if is_traced or self._should_not_send_content(status_code):
            super().write_error(status_code, **kwargs)
            return
        if status_code == 503:
            self.set_header("Retry-After", str(NATIVE_RETRY_AFTER))
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish({"error": responses.get(status_code, "Unknown")})


class JSONHandler(JSONErrors, RequestHandler):
    """Answers in JSON, which is not cached unless the handler says so."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def get_login_url(self) -> str:
        """Raises HTTPError(401): who asks for JSON has no use for a page to sign in at. A handler that links
        lead to overrides it.
        """
        raise HTTPError(401)
