"""What keeps open pages up to date: the events of the streams, for `waterspout.native.live`.

    event: changes   {"incidents": [{"id", "open", "html"}, ...], "parts": {name: html, ...}}

Too many changes to be listed are a "reload", and so are other components, other names or another order of
them. The markup is that of the page: the same templates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jinja2
from sqlalchemy.orm import Session

from app.store.history import ComponentStatus, read_statuses, read_version
from app.store.incidents import Changes, read_changes
from app.store.maintenance import read_maintenance
from app.store.tables import Maintenance
from waterspout.native.live import NOTHING, Cursor, Event, parse_cursor
from waterspout.service.sql import AsyncStore


@dataclass(frozen=True, slots=True)
class News:
    """What an event tells: which incidents have changed, and how everything is now."""

    cursor: Cursor
    changes: Changes
    components: Sequence[ComponentStatus]
    maintenance: Sequence[Maintenance]


def read_cursor(session: Session) -> Cursor:
    return parse_cursor(read_version(session)) or NOTHING


def read_news(session: Session, since: Cursor) -> News:
    cursor = read_cursor(session)  # first: see `waterspout.native.live.Source`
    changes = read_changes(session, since)
    return News(cursor, changes, read_statuses(session), read_maintenance(session))


class Feed:
    """The board as a `Source` that a `Watch` follows. Its cursors are versions of the board."""

    def __init__(self, store: AsyncStore, templates: jinja2.Environment) -> None:
        self.store = store
        self._templates = templates

    async def newest(self) -> Cursor:
        return await self.store.read(read_cursor)

    async def event(self, since: Cursor) -> Event:
        news = await self.store.read(read_news, since)
        if not news.changes.complete:
            return Event.reload(news.cursor)
        incidents = [
            {"id": each.id, "open": each.open, "html": self.render("incident", incident=each)}
            for each in news.changes.incidents
        ]
        return Event.make("changes", news.cursor, {"incidents": incidents, "parts": self.render_parts(news)})

    def render_parts(self, news: News) -> dict[str, str]:
        """Return the markup of each part of the page that tells how things are now, by its name."""
        whole = {"components": news.components, "maintenance": news.maintenance}
        parts = {
            "summary": self.render("summary", open_count=news.changes.open_count, **whole),
            "maintenance": self.render("maintenance", **whole),
        }
        today = datetime.now(UTC).date()
        for status in news.components:
            for name in ("condition", "today"):
                parts[f"{name}-{status.component.id}"] = self.render(name, status=status, today=today)
        return parts

    def render(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"_{name}.html").render(**values)
