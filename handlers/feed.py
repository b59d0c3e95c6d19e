"""What keeps open pages up to date: the events of the streams, for `waterspout.native.live`.

    event: changes   {"incidents": [{"id", "open", "html"}, ...], "parts": {name: html, ...}}

Too many changes to list, or too many days, cause a "reload", and so do changes to the components, their names
or their order. The markup is that of the page, from the same templates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jinja2
from sqlalchemy.orm import Session

from app.store.history import ComponentStatus, Day, read_history, read_statuses, read_version
from app.store.incidents import Changes, read_changes
from app.store.maintenance import read_maintenance
from app.store.tables import Maintenance
from waterspout.native.live import NOTHING, Cursor, Event, parse_cursor
from waterspout.service.sql import AsyncStore

# A page that was suspended for longer is reloaded.
DAYS_TOLD = 7


@dataclass(frozen=True, slots=True)
class News:
    """The content of an event: which incidents have changed, the current conditions, and those on each day
    since; None if there are too many days.
    """

    cursor: Cursor
    changes: Changes
    components: Sequence[ComponentStatus]
    days: Mapping[int, Sequence[Day]] | None
    maintenance: Sequence[Maintenance]


def read_cursor(session: Session, now: datetime | None = None) -> Cursor:
    return parse_cursor(read_version(session, now)) or NOTHING


def read_news(session: Session, since: Cursor) -> News:
    now = datetime.now(UTC)
    cursor = read_cursor(session, now)  # first: see `waterspout.native.live.Source`
    changes, count = read_changes(session, since), count_days(since, cursor)
    days = read_history(session, count, now) if 0 < count <= DAYS_TOLD else None
    return News(cursor, changes, read_statuses(session, now), days, read_maintenance(session, now))


def count_days(since: Cursor, cursor: Cursor) -> int:
    """How many days a reader doesn't know, or not to their end: from its cursor's day to today."""
    return cursor[3] - since[3] + 1 if len(since) > 3 else 1


class Feed:
    """The board as a `Source` that a `Watch` follows. Its cursors are versions of the board."""

    def __init__(self, store: AsyncStore, templates: jinja2.Environment) -> None:
        self.store = store
        self._templates = templates

    async def newest(self) -> Cursor:
        return await self.store.read(read_cursor)

    async def event(self, since: Cursor) -> Event:
        news = await self.store.read(read_news, since)
        if not news.changes.complete or news.days is None:
            return Event.reload(news.cursor)
        incidents = [
            {"id": each.id, "open": each.open, "html": self.render("incident", incident=each)}
            for each in news.changes.incidents
        ]
        return Event.make(
            "changes", news.cursor, {"incidents": incidents, "parts": self.render_parts(news, news.days)}
        )

    def render_parts(self, news: News, days: Mapping[int, Sequence[Day]]) -> dict[str, str]:
        """Return the markup of each part of the page that shows the current status, by its name."""
        whole = {"components": news.components, "maintenance": news.maintenance}
        parts = {
            "summary": self.render("summary", open_count=news.changes.open_count, **whole),
            "maintenance": self.render("maintenance", **whole),
        }
        for status in news.components:
            number = status.component.id
            parts[f"condition-{number}"] = self.render("condition", status=status)
            parts[f"days-{number}"] = self.render("days", days=days.get(number, ()))
        return parts

    def render(self, name: str, **values: Any) -> str:
        return self._templates.get_template(f"_{name}.html").render(**values)
