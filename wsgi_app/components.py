"""The page of components: add, rename, order, archive."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app.store.components import (
    add_component,
    archive_component,
    move_component,
    read_archived,
    read_components,
    rename_component,
)
from wsgi_app.announcements import announce
from wsgi_app.forms import ComponentForm
from wsgi_app.resources import current_store
from wsgi_app.sessions import current_actor

components = Blueprint("components", __name__, url_prefix="/components")

# What the buttons beside a component send, and what they do to it.
CHANGES = {
    "up": (move_component, True),
    "down": (move_component, False),
    "archive": (archive_component, True),
    "restore": (archive_component, False),
}


@components.get("/")
def show() -> str:
    return render_page(ComponentForm(formdata=None))


@components.post("/")
def add() -> Response | tuple[str, int]:
    form = ComponentForm()
    return done() if form.submit(add_component) else (render_page(form), 400)


@components.post("/<int:component_id>/name")
def rename(component_id: int) -> Response | tuple[str, int]:
    form = ComponentForm()
    if form.submit(rename_component, component_id):
        return done()
    return render_page(ComponentForm(formdata=None), form, component_id), 400


@components.post("/<int:component_id>")
def change(component_id: int) -> Response:
    """Do what the pressed button says."""
    if request.form.get("do") not in CHANGES:
        abort(400, "Nothing was asked for.")
    write, flag = CHANGES[request.form["do"]]
    current_store().write(write, component_id, flag, current_actor())
    return done()


def done() -> Response:
    announce()
    return redirect(url_for("admin.components.show"), 303)


def render_page(new: ComponentForm, renamed: ComponentForm | None = None, renamed_id: int = 0) -> str:
    """Return the page; a form whose name was refused is shown beside its component."""
    return render_template(
        "components.html",
        components=current_store().read(read_components),
        archived=current_store().read(read_archived),
        new=new,
        renamed=renamed,
        renamed_id=renamed_id,
    )
