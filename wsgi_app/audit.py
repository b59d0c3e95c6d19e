"""The audit page: what was done, by whom, when, from where."""

from flask import Blueprint, render_template, request

from app.store.audit import LINES_LISTED, read_audit
from app.store.rows import LARGEST_ID
from wsgi_app.resources import current_store

audit = Blueprint("audit", __name__, url_prefix="/audit")


@audit.get("/")
def show() -> str:
    """Show the newest lines; with `?before=`, those older than that line."""
    before = request.args.get("before", type=int)
    known = before is not None and 0 < before <= LARGEST_ID
    lines = current_store().read(read_audit, before if known else None)
    more = lines[-1].id if len(lines) == LINES_LISTED else None
    return render_template("audit.html", lines=lines, more=more, newest=not known)
