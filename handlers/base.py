"""What the board's handlers have in common."""

import jinja2
from tornado.web import RequestHandler

import waterspout.native
from waterspout.service.sql import AsyncStore


class Mounted(RequestHandler):
    """A handler that knows the path that the board is mounted under."""

    @property
    def root_path(self) -> str:
        """As the client sees it: documents with links are kept separately for each."""
        root_path: str = self.request.root_path  # type: ignore[attr-defined]  # Waterspout's requests have it
        return root_path


class BoardDocumentHandler(Mounted, waterspout.native.DocumentHandler):
    """Finds what `handlers.build_resources` put into the application's settings."""

    @property
    def store(self) -> AsyncStore:
        store: AsyncStore = self.settings["store"]
        return store

    def render_template(self, name: str, **values: object) -> str:
        templates: jinja2.Environment = self.settings["templates"]
        return templates.get_template(name).render(**values)
