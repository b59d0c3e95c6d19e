"""The events that keep open pages up to date, made once for all readers that need the same one."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import jinja2
from sqlalchemy.orm import Session

from app.store import AsyncStore, Changes, ComponentStatus, Maintenance
from app.store.history import read_statuses, read_version
from app.store.incidents import read_changes
from app.store.maintenance import read_maintenance
from handlers.cache import Cache
from handlers.version import NOTHING, Version, format_version, parse_version

# Readers are nearly all at the same version; the few that are not cost one entry each.
EVENTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Event:
    """`version`: the one that a reader knows after it. `block`: its bytes in an event stream; `message`: the
    same in JSON, for those who read no event streams.
    """

    version: Version
    block: bytes
    message: str


@dataclass(frozen=True, slots=True)
class News:
    """What an event tells: which incidents have changed, and how everything is now."""

    version: Version
    changes: Changes
    components: Sequence[ComponentStatus]
    maintenance: Sequence[Maintenance]


def read_news(session: Session, since: Version) -> News:
    # The version first: what follows may be newer than it, which is harmless, and never older.
    version = parse_version(read_version(session)) or NOTHING
    changes = read_changes(session, since[0])
    return News(version, changes, read_statuses(session), read_maintenance(session))


class Feed:
    """Turns what was posted into events. The markup in them is that of the page: the same templates."""

    def __init__(self, store: AsyncStore, templates: jinja2.Environment) -> None:
        self._store = store
        self._incident = templates.get_template("_incident.html")
        self._parts = {
            name: templates.get_template(f"_{name}.html")
            for name in ("summary", "maintenance", "condition", "today")
        }
        self._events: Cache[Event] = Cache(math.inf, EVENTS_KEPT)

    async def event(self, since: Version, announced: Version) -> Event:
        """Return what brings a reader from the version `since` to the one announced, or further."""
        return await self._events.get((since, announced), lambda: self.make_event(since))

    async def make_event(self, since: Version) -> Event:
        """Read what has changed since, and render it."""
        news = await self._store.read(read_news, since)
        if not news.changes.complete:
            return reload_event(news.version)
        return serialize_event("changes", news.version, self.render(news))

    def render(self, news: News) -> str:
        """Return the data of a "changes" event: JSON, without a line break."""
        incidents = [
            {"id": incident.id, "open": incident.open, "html": self._incident.render(incident=incident)}
            for incident in news.changes.incidents
        ]
        return json.dumps({"incidents": incidents, "parts": self.render_parts(news)})

    def render_parts(self, news: News) -> dict[str, str]:
        """Return the markup of each part of the page that tells how things are now, by its name."""
        whole = {"components": news.components, "maintenance": news.maintenance}
        parts = {
            "summary": self._parts["summary"].render(open_count=news.changes.open_count, **whole),
            "maintenance": self._parts["maintenance"].render(**whole),
        }
        today = datetime.now(UTC).date()
        for status in news.components:
            for name in ("condition", "today"):
                markup = self._parts[name].render(status=status, today=today)
                parts[f"{name}-{status.component.id}"] = markup
        return parts


def reload_event(version: Version) -> Event:
    """The event that tells the page to ask for everything again."""
    return serialize_event("reload", version, "{}")


def serialize_event(name: str, version: Version, data: str) -> Event:
    """Return the event in both forms; `data` is JSON without a line break. (In a stream, an event without
    data would never be delivered.)
    """
    cursor = format_version(version)
    block = f"event: {name}\nid: {cursor}\ndata: {data}\n\n".encode()
    return Event(version, block, f'{{"event": "{name}", "cursor": "{cursor}", "data": {data}}}')
