"""Pages for everybody: the board, and one page for each incident."""

from typing import Any

from flask import Blueprint, abort, render_template
from flask_login import current_user
from sqlalchemy.orm import Session

from app.store import UnknownIncident
from app.store.history import read_history, read_statuses, read_version
from app.store.incidents import read_board, read_incident
from app.store.maintenance import read_maintenance
from wsgi_app.resources import current_store

public = Blueprint("public", __name__)

# In what follows the version is read first: what changes meanwhile is then streamed to the page, not lost.


@public.get("/")
def show_board() -> str:
    return render_template("board.html", **current_store().read(read_page))


def read_page(session: Session) -> dict[str, Any]:
    version, statuses = read_version(session), read_statuses(session)
    days = {each.component.id: each.days for each in read_history(session)}
    return {
        "version": version,
        "board": read_board(session),
        "components": statuses,
        "rows": [(status, days[status.component.id]) for status in statuses],
        "maintenance": read_maintenance(session),
    }


@public.get("/incidents/<int:incident_id>")
def show_incident(incident_id: int) -> str:
    store = current_store()
    version = store.read(read_version)
    try:
        incident = store.read(read_incident, incident_id)
    except UnknownIncident:
        abort(404, "There is no such incident.")
    return render_template("incident.html", incident=incident, version=version)


@public.app_context_processor
def add_may_post() -> dict[str, Any]:
    """Give templates `may_post`: whether to show the way to `/admin/`."""
    return {"may_post": current_user.is_authenticated}
