"""The form that posts an incident, or an update to one. `wsgi_app.guards` says who may use it."""

from collections.abc import Mapping

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.store import State, UnknownIncident, Update
from wsgi_app.announcements import announce
from wsgi_app.forms import InvalidForm, parse_incident, parse_update
from wsgi_app.guards import admit
from wsgi_app.resources import current_store

admin = Blueprint("admin", __name__, url_prefix="/admin")
admin.before_request(admit)


@admin.before_request
def refuse_long_body() -> None:
    """Answer 413 to a body of unannounced length that is too long: Werkzeug would cut it without a word."""
    limit = request.max_content_length
    if limit is not None and len(request.get_data()) >= limit:
        abort(413)


@admin.get("/")
def show_form() -> str:
    return render_form({"incident": request.args.get("incident", "")})


@admin.post("/")
def post() -> Response | tuple[str, int]:
    """Post what the form holds: an update, if it names an incident; a new incident otherwise."""
    try:
        update = post_update(request.form) if "incident" in request.form else post_incident(request.form)
    except InvalidForm as invalid:
        return render_form(request.form, invalid.errors), 400
    announce(update)
    return redirect(url_for("public.show_incident", incident_id=update.incident_id), 303)


def post_incident(form: Mapping[str, str]) -> Update:
    """Commit a new incident, and return its first update; raises InvalidForm."""
    draft = parse_incident(form)
    return current_store().post_incident(draft.title, draft.state, draft.text)


def post_update(form: Mapping[str, str]) -> Update:
    """Commit an update, and return it; raises InvalidForm, also when there is no such incident."""
    draft = parse_update(form)
    try:
        return current_store().post_update(draft.incident, draft.state, draft.text)
    except UnknownIncident:
        raise InvalidForm({"incident": "There is no such incident."}) from None


def render_form(values: Mapping[str, str], errors: Mapping[str, str] | None = None) -> str:
    """Return the page, its fields filled with `values`, and beside them the `errors`."""
    board = current_store().board()
    return render_template("admin.html", board=board, states=list(State), values=values, errors=errors or {})
