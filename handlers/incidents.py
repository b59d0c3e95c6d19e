"""`/api/incidents`, `/api/incidents/<id>`: the board, and one whole incident, in JSON."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from tornado.web import HTTPError

from app.store import Unknown
from app.store.incidents import read_board, read_incident
from app.store.tables import Incident, Update
from handlers.base import BoardDocumentHandler
from waterspout import public
from waterspout.native import Document


@public
class IncidentsHandler(BoardDocumentHandler):
    """A list of incidents, as on the page: open ones first, then newest first, with recent updates."""

    async def get(self) -> None:
        await self.send_document(("incidents", self.root_path), self.list_incidents)

    async def list_incidents(self) -> Document:
        incidents = (await self.store.read(read_board)).incidents
        return Document.of_json(
            [serialize_incident(each, each.recent_updates, self.root_path) for each in incidents]
        )


@public
class IncidentHandler(BoardDocumentHandler):
    """One incident, with all its updates."""

    async def get(self, number: int) -> None:
        await self.send_document(("incident", number, self.root_path), partial(self.show_incident, number))

    async def show_incident(self, incident_id: int) -> Document:
        try:
            incident = await self.store.read(read_incident, incident_id)
        except Unknown:
            raise HTTPError(404) from None
        return Document.of_json(serialize_incident(incident, incident.updates, self.root_path))


def serialize_incident(incident: Incident, updates: Sequence[Update], root_path: str) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "state": incident.state,
        "impact": incident.impact,
        "components": [{"id": each.id, "name": each.name} for each in incident.components],
        "opened_at": incident.opened_at.isoformat(),
        "resolved_at": incident.resolved_at.isoformat() if incident.resolved_at else None,
        "url": f"{root_path}/incidents/{incident.id}",
        "update_count": incident.update_count,
        "updates": [
            {"id": each.id, "state": each.state, "text": each.text, "posted_at": each.posted_at.isoformat()}
            for each in updates
        ],
    }
