"""What operators do with incidents: open one, and say what is new. The rest is in blueprints below this one.

`guards.admit_operators` keeps everything under this blueprint to who has signed in.
"""

from contextlib import suppress
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.store import Impact, Refused, State, Unknown, UnknownIncident, Update
from app.store.components import read_components
from app.store.incidents import add_incident, add_update
from wsgi_app.announcements import announce
from wsgi_app.attachments import FILES_SIZE, stored
from wsgi_app.audit import audit
from wsgi_app.components import components
from wsgi_app.forms import BoardForm, IncidentForm, UpdateForm, is_id
from wsgi_app.maintenance import maintenance
from wsgi_app.operators import operators
from wsgi_app.resources import current_store
from wsgi_app.sessions import current_actor
from wsgi_app.sniffing import ALLOWED

admin = Blueprint("admin", __name__, url_prefix="/admin")
for part in (components, maintenance, operators, audit):
    admin.register_blueprint(part)

FILES_HINT = f"{FILES_SIZE // 2**20} MiB in all at most: {ALLOWED}."


@admin.get("/")
def show_form() -> str:
    form = UpdateForm(formdata=None, data={"incident": request.args.get("incident", "")})
    return render_forms(form, make_incident_form(formdata=None))


@admin.post("/")
def post() -> Response | tuple[str, int]:
    """Post what the form holds: an update, if it names an incident; a new incident otherwise."""
    if "incident" in request.form:
        form: BoardForm = UpdateForm()
        update = form.validate() and post_update(form)
    else:
        form = make_incident_form()
        update = form.validate() and post_incident(form)
    if isinstance(update, Update):
        announce(update)
        return redirect(url_for("public.show_incident", incident_id=update.incident_id), 303)
    if isinstance(form, UpdateForm):
        return render_forms(form, make_incident_form(formdata=None)), 400
    return render_forms(UpdateForm(formdata=None), form), 400


def make_incident_form(**options: Any) -> IncidentForm:
    form = IncidentForm(**options)
    form.components.offer(current_store().read(read_components))
    return form


def post_incident(form: IncidentForm) -> Update | None:
    """Commit a new incident, and return its first update; None when it was refused."""
    try:
        with stored(form.files.data or []) as files:
            return current_store().write(
                add_incident,
                form.title.data or "",
                State(form.state.data or ""),
                form.text.data or "",
                impact=Impact(form.impact.data or ""),
                components=form.components.ids,
                files=files,
                by=current_actor(),
            )
    except Refused as error:
        form.refuse(error, "files")
    except Unknown:
        form.refuse("One of these components is no longer there. Choose again.", "components")
    return None


def post_update(form: UpdateForm) -> Update | None:
    """Commit an update, and return it; None when it was refused, also when there is no such incident."""
    try:
        with stored(form.files.data or []) as files:
            return current_store().write(
                add_update,
                int(form.incident.data or 0),
                State(form.state.data or ""),
                form.text.data or "",
                impact=Impact(form.impact.data) if form.impact.data else None,
                files=files,
                by=current_actor(),
            )
    except Refused as error:
        form.refuse(error, "files")
    except UnknownIncident:
        form.refuse("There is no such incident.", "incident")
    return None


def render_forms(update: UpdateForm, new: IncidentForm) -> str:
    """Return the page with both forms."""
    incidents = incident_options(update.incident.data or "")
    return render_template("admin.html", incidents=incidents, update=update, new=new, files_hint=FILES_HINT)


def incident_options(chosen: str) -> list[tuple[int, str]]:
    """The incidents to choose from: those of the board, and the one that a link led here for."""
    listed = list(current_store().board().incidents)
    if is_id(chosen) and int(chosen) not in {incident.id for incident in listed}:
        with suppress(UnknownIncident):
            listed.insert(0, current_store().incident(int(chosen)))
    return [(incident.id, f"{incident.title} ({incident.state.value})") for incident in listed]
