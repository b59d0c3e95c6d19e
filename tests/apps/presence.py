"""Views that ask whether their client is still there."""

import time

from flask import Flask, request

from tests.apps.table import TEXT, Table
from tests.apps.witness import folder, note, parameter
from waterspout.wsgi import client_alive

app = Table()
flask_app = Flask(__name__)
app.mount("flask", flask_app)
DEADLINE = 20.0


def watch(environ):
    """Wait until the client has left, or the test opens the gate; return whether it was there then."""
    gate = folder() / f"{parameter(environ, 'id')}.gate"
    deadline = time.monotonic() + DEADLINE
    while (alive := client_alive(environ)) and not gate.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    note("judged", environ, alive=alive)
    return alive


@app.view
def watching(environ, start_response):
    """`begun`: the first half of the reply is sent before. `read`: how much of the body is read before."""
    write = start_response("200 OK", TEXT)
    if parameter(environ, "begun"):
        write(b"begun;")
    body = environ["wsgi.input"].read(int(parameter(environ, "read", "0")))
    note("ran", environ)
    alive = watch(environ)
    if alive:
        body += environ["wsgi.input"].read()
    return [f"{alive} {len(body)}".encode()]


@flask_app.get("/flask/watching")
def flask_watching():
    note("ran", request.environ)
    return f"{watch(request.environ)} 0"
