"""`/api/incidents`: the board in JSON."""

import json
from typing import Any

from app.store import Incident, Update
from handlers.base import BoardHandler


class IncidentsHandler(BoardHandler):
    """A list of incidents, as the page has them: open ones first, then newest first, with recent updates."""

    async def get(self) -> None:
        board = await self.store.board()
        self.set_header("Cache-Control", "no-cache")  # may be kept, if asked about: Tornado sends an ETag
        self.write(json.dumps([serialize_incident(incident) for incident in board.incidents]))

    head = get


def serialize_incident(incident: Incident) -> dict[str, Any]:
    return {
        "id": incident.id,
        "title": incident.title,
        "state": incident.state,
        "opened_at": incident.opened_at.isoformat(),
        "url": f"/incidents/{incident.id}",
        "update_count": incident.update_count,
        "updates": [serialize_update(update) for update in incident.recent_updates],
    }


def serialize_update(update: Update) -> dict[str, Any]:
    return {
        "id": update.id,
        "state": update.state,
        "text": update.text,
        "posted_at": update.posted_at.isoformat(),
    }
