"""The native side: what everybody asks for at once, answered on the event loop.

One file a resource; `routes` is the list of them. A handler here never blocks: it reads through
`app.store.AsyncStore`. Imports nothing of `wsgi_app`.
"""

from typing import Any

import jinja2
from tornado.web import RequestHandler

from app.settings import TEMPLATE_OPTIONS, TEMPLATES
from app.store import AsyncStore
from handlers.feed import Feed
from handlers.health import HealthHandler
from handlers.incidents import IncidentsHandler
from handlers.stream import StreamHandler

routes: list[tuple[str, type[RequestHandler]]] = [
    (r"/healthz", HealthHandler),
    (r"/api/incidents", IncidentsHandler),
    (r"/api/stream", StreamHandler),
]


def build_resources(store: AsyncStore) -> dict[str, Any]:
    """Return the application settings that the handlers need: see `handlers.base`."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    templates = jinja2.Environment(loader=loader, autoescape=True, **TEMPLATE_OPTIONS)
    return {"store": store, "feed": Feed(store, templates)}
