"""Pages for everybody: the board, and one page for each incident."""

from typing import Any

from flask import Blueprint, abort, render_template, request

from app.store import UnknownIncident
from wsgi_app.guards import find_refusal
from wsgi_app.resources import current_store

public = Blueprint("public", __name__)


@public.get("/")
def show_board() -> str:
    return render_template("board.html", board=current_store().board())


@public.get("/incidents/<int:incident_id>")
def show_incident(incident_id: int) -> str:
    store = current_store()
    cursor = store.cursor()  # first: an update posted meanwhile is then streamed to the page, not lost
    try:
        incident = store.incident(incident_id)
    except UnknownIncident:
        abort(404, "There is no such incident.")
    return render_template("incident.html", incident=incident, cursor=cursor)


@public.app_context_processor
def add_may_post() -> dict[str, Any]:
    """Give templates `may_post`: whether to show the way to `/admin/`."""
    return {"may_post": find_refusal(request) is None}
