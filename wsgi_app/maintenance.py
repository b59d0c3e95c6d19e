"""The page of planned maintenance: announce, call off, end early."""

from datetime import datetime
from typing import cast

from flask import Blueprint, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.store import Refused, Unknown
from app.store.components import read_components
from app.store.maintenance import (
    add_maintenance,
    end_maintenance,
    read_maintenance,
    read_past_maintenance,
)
from wsgi_app.announcements import announce
from wsgi_app.forms import MaintenanceForm
from wsgi_app.resources import current_store
from wsgi_app.sessions import current_actor

maintenance = Blueprint("maintenance", __name__, url_prefix="/maintenance")


def make_form(**options: object) -> MaintenanceForm:
    form = MaintenanceForm(**options)
    form.components.offer(current_store().read(read_components))
    return form


@maintenance.get("/")
def show() -> str:
    return render_page(make_form(formdata=None))


@maintenance.post("/")
def add() -> Response | tuple[str, int]:
    form = make_form()
    if form.validate():
        try:
            current_store().write(
                add_maintenance,
                form.title.data or "",
                form.text.data or "",
                cast(datetime, form.starts_at.data),
                cast(datetime, form.ends_at.data),
                components=form.components.ids,
                by=current_actor(),
            )
        except Unknown:
            form.refuse("One of these components is no longer there. Choose again.", "components")
        except Refused as error:
            form.refuse(error, "ends_at")
        else:
            return done()
    return render_page(form), 400


@maintenance.post("/<int:maintenance_id>/end")
def end(maintenance_id: int) -> Response:
    """Call it off, or end it now."""
    try:
        current_store().write(end_maintenance, maintenance_id, current_actor())
    except Unknown:
        abort(404, "There is no such maintenance.")
    except Refused as error:
        abort(409, str(error))
    return done()


def done() -> Response:
    announce()
    return redirect(url_for("admin.maintenance.show"), 303)


def render_page(form: MaintenanceForm) -> str:
    store = current_store()
    return render_template(
        "maintenance.html",
        form=form,
        ahead=store.read(read_maintenance),
        past=store.read(read_past_maintenance),
    )
