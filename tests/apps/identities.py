"""Who am I? Every place where a request may keep its identity, checked while others run."""

import contextvars
import threading
import time

from flask import Flask, g, request

from tests.apps.table import Table

local = threading.local()
variable = contextvars.ContextVar("variable")
flask_app = Flask(__name__)
app = Table()
app.mount("flask", flask_app)


def identities(ident):
    return {ident, local.ident, variable.get(), g.ident, request.args["id"]}


@flask_app.post("/flask/identity")
def identity():
    ident = request.args["id"]
    if variable.get(None) is not None or "ident" in g:
        return "a context was not fresh", 500
    local.ident = g.ident = ident
    variable.set(ident)
    first = request.stream.read(10)
    time.sleep(0.0005 if ident[0] in "0123" else 0)
    body = first + request.stream.read()
    if identities(ident) != {ident}:
        return f"mixed up: {identities(ident)}", 500
    return f"{ident} {body.decode()}", 200, {"X-Ident": ident}


@flask_app.get("/flask/identity")
def streamed_identity():
    ident = request.args["id"]
    fresh = variable.get(None) is None
    variable.set(ident)

    def pieces():
        for number in range(3):
            time.sleep(0)
            yield f"{variable.get()}{number}" if fresh else "a context was not fresh"

    return pieces()
