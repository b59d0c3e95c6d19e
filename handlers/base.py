"""What the documents of the board have in common."""

import jinja2

import waterspout.native
from waterspout.service.sql import AsyncStore


class BoardDocumentHandler(waterspout.native.DocumentHandler):
    """Finds what `handlers.build_resources` put into the application's settings."""

    @property
    def store(self) -> AsyncStore:
        store: AsyncStore = self.settings["store"]
        return store

    @property
    def root_path(self) -> str:
        """What the board is mounted under, as the client sees it: a document with links is one of its own."""
        root_path: str = self.request.root_path  # type: ignore[attr-defined]  # Waterspout's requests have it
        return root_path

    def render_template(self, name: str, **values: object) -> str:
        templates: jinja2.Environment = self.settings["templates"]
        return templates.get_template(name).render(**values)
