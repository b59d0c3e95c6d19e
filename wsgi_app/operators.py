"""The page of operators: list them, invite one, disable one."""

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.store.operators import INVITATION_LASTS, add_invitation, disable_operator, read_operators
from app.store.rows import find
from app.store.tables import Operator
from wsgi_app.resources import current_settings, current_store
from wsgi_app.sessions import current_actor

operators = Blueprint("operators", __name__, url_prefix="/operators")


@operators.get("/")
def show() -> str:
    return render_page()


@operators.post("/invite")
def invite() -> tuple[str, int]:
    """Create an invitation, and show its link, only this once."""
    return render_page(invitation_link(current_store().write(add_invitation, current_actor()))), 201


@operators.post("/<int:operator_id>/disable")
def disable(operator_id: int) -> Response:
    name = current_store().read(find, Operator, operator_id).name
    current_store().write(disable_operator, name, current_actor())
    return redirect(url_for("admin.operators.show"), 303)


def invitation_link(token: str) -> str:
    """Return the link to pass on: on the board's public address, if that is set."""
    public_url = current_settings().url
    return public_url + url_for("sign_in.join", token=token, _external=not public_url)


def render_page(link: str = "") -> str:
    operators = current_store().read(read_operators)
    return render_template("operators.html", operators=operators, link=link, days=INVITATION_LASTS.days)
