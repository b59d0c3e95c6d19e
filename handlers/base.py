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

    def render_template(self, name: str, **values: object) -> str:
        templates: jinja2.Environment = self.settings["templates"]
        return templates.get_template(name).render(**values)
