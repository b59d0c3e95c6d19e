"""The native side: what everybody asks for at once, answered on the event loop.

One file per resource; `routes` lists them. A handler here never blocks: it reads through
`waterspout.service.sql.AsyncStore`. Imports nothing of `wsgi_app`.
"""

from typing import Any

import jinja2

from app.settings import DEFAULT_BOARD_NAME, TEMPLATE_OPTIONS, TEMPLATES
from app.store import TOPIC
from handlers.atom import AtomHandler
from handlers.badge import BadgeHandler
from handlers.feed import Feed
from handlers.health import HealthHandler
from handlers.incidents import IncidentHandler, IncidentsHandler
from handlers.live import PollHandler, SocketHandler, StreamHandler
from handlers.readers import ReadersHandler
from waterspout import PathRule
from waterspout.native import Cache, Document
from waterspout.native.live import Watch
from waterspout.service.sql import AsyncStore

# A document is kept this long: a crowd costs one query a second ...
DOCUMENT_LIFETIME = 1.0
# ... for each incident that is viewed, each badge, each host name that the board is requested by.
DOCUMENTS_KEPT = 256

routes = [
    PathRule("/healthz", HealthHandler),
    PathRule("/api/incidents", IncidentsHandler, name="incidents"),
    PathRule("/api/incidents/<int:number>", IncidentHandler, name="incident"),
    PathRule("/api/stream", StreamHandler, name="stream"),
    PathRule("/api/ws", SocketHandler, name="socket"),
    PathRule("/api/poll", PollHandler, name="poll"),
    PathRule("/api/readers", ReadersHandler, name="readers"),
    PathRule("/badge.svg", BadgeHandler, name="badge"),
    PathRule("/feed.atom", AtomHandler, name="feed"),
]


def build_resources(store: AsyncStore, board_name: str = DEFAULT_BOARD_NAME, url: str = "") -> dict[str, Any]:
    """Return the application settings that the handlers need, and those of `waterspout.native`."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    templates = jinja2.Environment(loader=loader, autoescape=True, **TEMPLATE_OPTIONS)
    documents: Cache[Document] = Cache(DOCUMENT_LIFETIME, DOCUMENTS_KEPT)
    return {
        "store": store,
        "watch": Watch(TOPIC, Feed(store, templates)),
        "documents": documents,
        "templates": templates,
        "board_name": board_name,
        "board_url": url,
    }
