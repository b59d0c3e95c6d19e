"""Error pages: for everything that Flask or a view refuses, and for what fails."""

from flask import render_template
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response


def show_error(error: HTTPException) -> Response:
    """Return the error's own reply, its headers too (`Allow`), with a page of ours as the body."""
    response = Response.force_type(error.get_response())
    response.set_data(render_template("error.html", error=error))
    response.content_type = "text/html; charset=utf-8"
    return response
