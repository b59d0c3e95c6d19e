"""Pages for everybody: the board, and one page for each incident."""

import hashlib
import threading
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request
from flask.blueprints import BlueprintSetupState
from flask_login import current_user
from sqlalchemy.orm import Session

from app.store.history import read_history, read_statuses, read_version
from app.store.incidents import read_board, read_incident
from app.store.maintenance import read_maintenance
from wsgi_app.resources import current_store

public = Blueprint("public", __name__)

# In what follows the version is read first: what changes meanwhile is then streamed to the page, not lost.


@public.get("/")
def show_board() -> Response:
    """Answer with the page of the board's version; 304 to who has it already."""
    pages: BoardPages = current_app.extensions["board_pages"]
    page = pages.get(current_store().read(read_version), current_user.is_authenticated)
    response = Response(page.markup, mimetype="text/html")
    response.set_etag(page.etag)
    response.make_conditional(request)
    return response


@dataclass(frozen=True, slots=True)
class BoardPage:
    version: str
    markup: bytes
    etag: str


class BoardPages:
    """The page of the newest version, one for operators and one for everybody: made once for all readers.

    A crowd costs a look at the version for each of them, a tenth of making the page.
    """

    def __init__(self) -> None:
        self._pages: dict[bool, BoardPage] = {}
        self._making = threading.Lock()

    def get(self, version: str, for_operator: bool) -> BoardPage:
        """Return the page of this version, or of a newer one. Those who need a new one wait for its maker."""
        with self._making:
            page = self._pages.get(for_operator)
            if page is None or page.version != version:
                page = self._pages[for_operator] = make_board_page()
            return page


def make_board_page() -> BoardPage:
    context = current_store().read(read_page)
    markup = render_template("board.html", **context).encode()
    return BoardPage(context["version"], markup, hashlib.sha256(markup).hexdigest()[:32])


@public.record_once
def add_board_pages(state: BlueprintSetupState) -> None:
    state.app.extensions["board_pages"] = BoardPages()


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
    version = current_store().read(read_version)
    incident = current_store().read(read_incident, incident_id)
    return render_template("incident.html", incident=incident, version=version)


@public.app_context_processor
def add_may_post() -> dict[str, Any]:
    """Give templates `may_post`: whether to show the way to `/admin/`."""
    return {"may_post": current_user.is_authenticated}
