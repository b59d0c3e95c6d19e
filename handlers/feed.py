"""The events of the stream, made once for all readers that need the same one."""

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass

import jinja2

from app.store import AsyncStore, Changes

# Readers are nearly all at the same cursor; the few that are not cost one entry each.
EVENTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class Event:
    """`cursor`: the newest update's id that a reader knows after it; `data`: its bytes on the wire."""

    cursor: int
    data: bytes


class Feed:
    """Turns what was posted into events. The markup in them is that of the page: the same templates."""

    def __init__(self, store: AsyncStore, templates: jinja2.Environment) -> None:
        self._store = store
        self._incident = templates.get_template("_incident.html")
        self._summary = templates.get_template("_summary.html")
        self._events: OrderedDict[tuple[int, int], asyncio.Task[Event]] = OrderedDict()

    async def event(self, since: int, announced: int) -> Event:
        """Return what brings a reader from the update `since` to the update `announced`, or further."""
        key = since, announced
        if key not in self._events:
            self._events[key] = asyncio.create_task(self.make_event(since))
            if len(self._events) > EVENTS_KEPT:
                self._events.popitem(last=False)
        task = self._events[key]
        try:
            # Shielded: when the reader that asked first goes away, the others still get theirs.
            return await asyncio.shield(task)
        except Exception:
            self._events.pop(key, None)  # not kept: the next reader tries again
            raise

    async def make_event(self, since: int) -> Event:
        """Read what was posted after the update `since`, and render it."""
        changes = await self._store.changes(since)
        if not changes.complete:
            return reload_event(changes.cursor)
        return Event(changes.cursor, serialize_event("changes", changes.cursor, self.render(changes)))

    def render(self, changes: Changes) -> str:
        """Return the data of a "changes" event: JSON, without a line break."""
        incidents = [
            {"id": incident.id, "open": incident.open, "html": self._incident.render(incident=incident)}
            for incident in changes.incidents
        ]
        summary = self._summary.render(open_count=changes.open_count)
        return json.dumps({"incidents": incidents, "summary": summary})


def reload_event(cursor: int) -> Event:
    """The event that tells the page to ask for everything again."""
    return Event(cursor, serialize_event("reload", cursor, "{}"))


def serialize_event(name: str, cursor: int, data: str) -> bytes:
    """Return a server-sent event; `data` holds no line break. (An event without data is never delivered.)"""
    return f"event: {name}\nid: {cursor}\ndata: {data}\n\n".encode()
