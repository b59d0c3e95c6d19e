"""What operators do with incidents: open one, post updates, set which components it concerns.

The rest is in blueprints below this one. `guards.admit_operators` limits everything under it to signed-in
operators.
"""

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.store.incidents import add_incident, add_update, change_components, read_board, read_incident
from waterspout.service.sniffing import ALLOWED
from wsgi_app.announcements import announce
from wsgi_app.attachments import FILES_SIZE
from wsgi_app.audit import audit
from wsgi_app.components import components
from wsgi_app.forms import ConcernForm, IncidentForm, UpdateForm
from wsgi_app.maintenance import maintenance
from wsgi_app.operators import operators
from wsgi_app.resources import current_store

admin = Blueprint("admin", __name__, url_prefix="/admin")
for part in (components, maintenance, operators, audit):
    admin.register_blueprint(part)

FILES_HINT = f"{FILES_SIZE // 2**20} MiB in all at most: {ALLOWED}."


@admin.get("/")
def show_form() -> str:
    update = UpdateForm(formdata=None, data={"incident": request.args.get("incident")})
    return render_forms(update, IncidentForm(formdata=None))


@admin.post("/")
def post() -> Response | tuple[str, int]:
    """Post what the form contains: an update if it names an incident; otherwise a new incident."""
    if "incident" in request.form:
        form = UpdateForm()
        update, forms = form.submit(add_update), (form, IncidentForm(formdata=None))
    else:
        new = IncidentForm()
        update, forms = new.submit(add_incident), (UpdateForm(formdata=None), new)
    if update is None:
        return render_forms(*forms), 400
    announce(update)
    return redirect(url_for("public.show_incident", incident_id=update.incident_id), 303)


def render_forms(update: UpdateForm, new: IncidentForm) -> str:
    """Return the page with both forms, and the open incidents."""
    incidents = [each for each in current_store().read(read_board).incidents if each.open]
    return render_template("admin.html", incidents=incidents, update=update, new=new, files_hint=FILES_HINT)


@admin.route("/incidents/<int:incident_id>", methods=["GET", "POST"])
def edit(incident_id: int) -> Response | str | tuple[str, int]:
    """Show which components an incident concerns, and change them."""
    incident = current_store().read(read_incident, incident_id)
    form = ConcernForm(data={"components": [each.id for each in incident.components]})
    if form.is_submitted() and form.submit(change_components, incident_id):
        announce()
        return redirect(url_for("public.show_incident", incident_id=incident_id), 303)
    return render_template("edit.html", incident=incident, form=form), 400 if form.errors else 200
