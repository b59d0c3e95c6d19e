"""`/api/incidents`, `/api/incidents/<id>`: the board, and one incident whole, in JSON."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tornado.web import HTTPError

from app.store import AsyncStore, Incident, UnknownIncident, Update
from handlers.base import DocumentHandler
from handlers.documents import Document


class IncidentsHandler(DocumentHandler):
    """A list of incidents, as the page has them: open ones first, then newest first, with recent updates."""

    async def get(self) -> None:
        self.send_document(await self.documents.get("incidents", partial(list_incidents, self.store)))

    head = get


class IncidentHandler(DocumentHandler):
    """One incident, with all its updates."""

    async def get(self, number: str) -> None:
        make = partial(show_incident, self.store, int(number))
        try:
            self.send_document(await self.documents.get(("incident", number), make))
        except UnknownIncident:
            raise HTTPError(404) from None

    head = get


async def list_incidents(store: AsyncStore) -> Document:
    board = await store.board()
    return Document.of_json(
        [serialize_incident(incident, incident.recent_updates) for incident in board.incidents]
    )


async def show_incident(store: AsyncStore, incident_id: int) -> Document:
    """Raises UnknownIncident."""
    incident = await store.incident(incident_id)
    return Document.of_json(serialize_incident(incident, incident.updates))


def serialize_incident(incident: Incident, updates: Sequence[Update]) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "state": incident.state,
        "impact": incident.impact,
        "components": [{"id": each.id, "name": each.name} for each in incident.components],
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "url": f"/incidents/{incident.id}",
        "update_count": incident.update_count,
        "updates": [serialize_update(update) for update in updates],
    }


def serialize_update(update: Update) -> dict[str, Any]:
    return {
        "id": update.id,
        "state": update.state,
        "text": update.text,
        "posted_at": update.posted_at.isoformat(),
    }
