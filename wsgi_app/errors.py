"""Error pages: for everything that Flask or a view refuses, and for what fails."""

from flask import render_template
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

BAD_TOKEN = (
    "This form is not of your present session: perhaps you signed out or in meanwhile. "
    "Nothing was done. Go back, load the page again, and send it once more."
)


def show_error(error: HTTPException) -> Response:
    """Return the error's own reply, its headers too (`Allow`), with a page of ours as the body."""
    if isinstance(error, CSRFError):
        error.description = BAD_TOKEN
    response = Response.force_type(error.get_response())
    response.set_data(render_template("error.html", error=error))
    response.content_type = "text/html; charset=utf-8"
    return response
