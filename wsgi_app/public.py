"""Pages for everybody: the board, and one page for each incident."""

import hashlib
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from flask_login import current_user
from sqlalchemy.orm import Session

from app.store.history import read_history, read_statuses, read_version
from app.store.incidents import read_board, read_incident
from app.store.maintenance import read_maintenance
from waterspout.service.newest import Newest
from wsgi_app.resources import current_store

public = Blueprint("public", __name__)

# Below, the version is always read first: a change in the meantime is then streamed to the page, not lost.


@public.get("/")
def show_board() -> Response:
    """Answer with the page for the board's version; 304 to clients that have it already.

    It is made once for all operators, and once for everybody else: each reader costs a query for the version,
    a tenth of making the page.
    """
    pages: Newest[tuple[bytes, str]] = current_app.extensions["board_pages"]
    version = current_store().read(read_version)
    # Its links begin with the prefix under which it was requested.
    key = (current_user.is_authenticated, request.script_root)
    markup, etag = pages.get(key, version, make_board_page)
    response = Response(markup, mimetype="text/html")
    response.set_etag(etag)
    response.make_conditional(request)
    return response


def make_board_page() -> tuple[str, tuple[bytes, str]]:
    """Return the version, and the page with its ETag."""
    context = current_store().read(read_page)
    markup = render_template("board.html", **context).encode()
    return context["version"], (markup, hashlib.sha256(markup).hexdigest()[:32])


public.record_once(lambda state: state.app.extensions.update(board_pages=Newest()))


def read_page(session: Session) -> dict[str, Any]:
    version, statuses, days = read_version(session), read_statuses(session), read_history(session)
    return {
        "version": version,
        "board": read_board(session),
        "components": statuses,
        "rows": [(status, days[status.component.id]) for status in statuses],
        "maintenance": read_maintenance(session),
    }


@public.get("/incidents/<int:incident_id>")
def show_incident(incident_id: int) -> str:
    version = current_store().read(read_version)
    incident = current_store().read(read_incident, incident_id)
    return render_template("incident.html", incident=incident, version=version)


@public.app_context_processor
def add_may_post() -> dict[str, Any]:
    """Give templates `may_post`: whether to show the link to `/admin/`."""
    return {"may_post": current_user.is_authenticated}
