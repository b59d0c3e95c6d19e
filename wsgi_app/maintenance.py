"""The page of planned maintenance: announce, cancel, end early."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.store.maintenance import add_maintenance, end_maintenance, read_maintenance, read_past_maintenance
from wsgi_app.announcements import announce
from wsgi_app.forms import MaintenanceForm
from wsgi_app.resources import current_store
from wsgi_app.sessions import current_actor

maintenance = Blueprint("maintenance", __name__, url_prefix="/maintenance")


@maintenance.get("/")
def show() -> str:
    return render_page(MaintenanceForm(formdata=None))


@maintenance.post("/")
def add() -> Response | tuple[str, int]:
    form = MaintenanceForm()
    return done() if form.submit(add_maintenance) else (render_page(form), 400)


@maintenance.post("/<int:maintenance_id>/end")
def end(maintenance_id: int) -> Response:
    """Cancel it, or end it now."""
    current_store().write(end_maintenance, maintenance_id, current_actor())
    return done()


def done() -> Response:
    announce()
    return redirect(url_for("admin.maintenance.show"), 303)


def render_page(form: MaintenanceForm) -> str:
    ahead, past = current_store().read(read_maintenance), current_store().read(read_past_maintenance)
    return render_template("maintenance.html", form=form, ahead=ahead, past=past)
