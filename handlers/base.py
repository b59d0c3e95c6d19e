"""What all native handlers of the service have in common."""

from http.client import responses
from typing import Any

from tornado.web import RequestHandler

from app.store import AsyncStore


class BoardHandler(RequestHandler):
    """Answers in JSON, errors too. Finds its store in the application's settings (`build_resources`)."""

    @property
    def store(self) -> AsyncStore:
        store: AsyncStore = self.settings["store"]
        return store

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer `{"error": ...}`; in debug mode with the traceback that Tornado writes."""
        if self.settings.get("serve_traceback"):
            super().write_error(status_code, **kwargs)
        else:
            self.finish({"error": responses.get(status_code, "Unknown")})
