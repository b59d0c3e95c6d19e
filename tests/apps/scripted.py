"""An app that replies just what the query string says: a test shows the whole misbehaviour in one place."""

import json

from tests.apps.table import Table
from tests.apps.witness import note, parameter

app = Table()


class Text(bytes):
    """A subclass of bytes, as some template engines make them."""


def spelled(value):
    """JSON has no bytes: `{"bytes": "x"}` stands for them, `{"subclass": "x"}` for a subclass."""
    if isinstance(value, dict):
        [(kind, content)] = value.items()
        return {"bytes": bytes, "subclass": Text}[kind](content.encode("latin-1"))
    return value


class Noted:
    """The reply's chunks; closing is noted."""

    def __init__(self, environ, chunks):
        self.environ = environ
        self.chunks = iter(chunks)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def close(self):
        note("closed", self.environ)


@app.view
def scripted(environ, start_response):
    note("ran", environ)
    script = json.loads(parameter(environ, "script"))
    headers = [(spelled(name), spelled(value)) for name, value in script["headers"]]
    chunks = [spelled(chunk) for chunk in script["chunks"]]
    write = start_response(spelled(script["status"]), headers)
    for data in script["written"]:
        write(spelled(data))
    return chunks if script["listed"] else Noted(environ, chunks)
