"""What reached the app: the environ, as JSON."""

import contextvars
import json
import os

from flask import Flask, jsonify, request

from tests.apps.table import Table
from tests.apps.witness import note

app = Table()
flask_app = Flask(__name__)
app.mount("flask", flask_app)
seen_before = contextvars.ContextVar("seen_before", default="nothing")


def described(environ):
    """Every value with the name of its exact type."""
    return {key: [type(value).__name__, str(value)] for key, value in environ.items()}


def reply_json(start_response, value):
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


@app.view
def environ(environ, start_response):
    note("ran", environ)
    facts = described(environ)
    facts["(environ)"] = [type(environ).__name__, ""]
    return reply_json(start_response, facts)


def whole_path(environ, start_response):
    return reply_json(start_response, described(environ))


# Paths that begin with these are about the path itself.
for name in ("", "a b", "a", "..", "%41", "+", "\xe2\x82\xac", "a;b=c,d", "a?b", "a#b"):
    app.mount(name, whole_path)


@app.view
def server_objects(environ, start_response):
    errors = environ["wsgi.errors"]
    errors.write("a line for the log: written\n")
    errors.writelines(["a line for the log: ", "lined\n"])
    print("a line for the log: printed", file=errors)
    errors.flush()
    return reply_json(start_response, {"file_wrapper": callable(environ["wsgi.file_wrapper"])})


@app.view
def context(environ, start_response):
    """What an earlier request left in the context; and whether call and iteration share one."""
    before = seen_before.get()
    seen_before.set("set by the call")

    def iteration():
        start_response("200 OK", [("Content-Type", "application/json")])
        yield json.dumps([before, seen_before.get()]).encode()
        seen_before.set("set by the iteration")

    return iteration()


@app.view
def method(environ, start_response):
    body = environ["wsgi.input"].read()
    return reply_json(start_response, [environ["REQUEST_METHOD"], body.decode("latin-1"), os.getpid()])


@flask_app.route("/flask/headers", methods=["GET", "POST"])
def headers():
    return jsonify(
        headers=dict(request.headers), args=request.args, cookies=request.cookies, host=request.host
    )
