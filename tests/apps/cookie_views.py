"""A view that says what it varies with."""

from tests.apps.table import TEXT, Table
from tests.apps.witness import parameter

app = Table()


@app.view
def vary(environ, start_response):
    said = parameter(environ, "says")
    start_response("200 OK", [*TEXT, ("Vary", said)] if said else TEXT)
    return [b"everybody's"]
