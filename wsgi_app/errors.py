"""Error pages: for everything that Flask, a view or the store refuses, and for failures."""

from flask import Flask, current_app, render_template
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import Conflict, HTTPException, NotFound
from werkzeug.wrappers import Response

from app.store import Refused, Unknown

BAD_TOKEN = (
    "This form is not from your current session: perhaps you have signed out or in since. "
    "Nothing was done. Go back, reload the page, and send it again."
)


def add_error_pages(app: Flask) -> None:
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(Unknown, lambda error: show_error(NotFound(str(error))))
    app.register_error_handler(Refused, lambda error: show_error(Conflict(str(error))))


def show_error(error: HTTPException) -> Response:
    """Return the error's own reply, including its headers (`Allow`), with a page of ours as the body."""
    if isinstance(error, CSRFError):
        error.description = BAD_TOKEN
    response = Response.force_type(error.get_response())
    response.set_data(render_error(error))
    response.content_type = "text/html; charset=utf-8"
    return response


def render_error(error: HTTPException) -> str:
    """Return the page: for a failure it does not use the database, which may be what has failed."""
    if (error.code or 500) < 500:
        return render_template("error.html", error=error)
    # Not `render_template`, which looks up who is signed in.
    return current_app.jinja_env.get_template("error.html").render(error=error)
