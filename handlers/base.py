"""What all native handlers of the service have in common."""

from http.client import responses
from typing import Any

import tornado.web

import waterspout.native
from app.store import AsyncStore
from handlers.cache import Cache
from handlers.documents import Document
from handlers.watch import Watch


class Resources(tornado.web.RequestHandler):
    """Finds what `handlers.build_resources` put into the application's settings; answers errors in JSON."""

    @property
    def store(self) -> AsyncStore:
        store: AsyncStore = self.settings["store"]
        return store

    @property
    def watch(self) -> Watch:
        watch: Watch = self.settings["watch"]
        return watch

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer `{"error": ...}`; in debug mode with the traceback that Tornado writes."""
        if self.settings.get("serve_traceback"):
            super().write_error(status_code, **kwargs)
            return
        if status_code == 503:
            self.set_header("Retry-After", "10")
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish({"error": responses.get(status_code, "Unknown")})


class BoardHandler(Resources, waterspout.native.RequestHandler):
    """Answers in JSON, which nobody keeps unless the handler says so."""

    def set_default_headers(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")


class DocumentHandler(BoardHandler):
    """Answers with a document that is made once a second, however many ask; 304 to who has it already."""

    @property
    def documents(self) -> Cache[Document]:
        documents: Cache[Document] = self.settings["documents"]
        return documents

    def send_document(self, document: Document) -> None:
        self.set_header("Content-Type", document.media_type)
        self.set_header("Cache-Control", "public, max-age=1")
        self.set_header("Access-Control-Allow-Origin", "*")  # anybody's page may show it: it holds no secret
        self.set_header("Etag", document.etag)
        if self.check_etag_header():
            self.set_status(304)
        else:
            self.write(document.body)
