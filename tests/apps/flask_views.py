"""An ordinary Flask app: forms, uploads, sessions, errors."""

import hashlib

from flask import Flask, abort, g, jsonify, request, session

from tests.apps.table import Table
from tests.apps.witness import note

flask_app = Flask(__name__)
flask_app.secret_key = "for tests only"
app = Table()
app.mount("flask", flask_app)


@flask_app.post("/flask/data")
def data():
    body = request.get_data()
    return jsonify(length=len(body), sha256=hashlib.sha256(body).hexdigest(), type=request.content_type)


@flask_app.post("/flask/awaited")
def awaited():
    note("ran", request.environ)
    return data()


@flask_app.post("/flask/stream")
def stream():
    """Reads as an upload should be read: in pieces."""
    checksum, length = hashlib.sha256(), 0
    while piece := request.stream.read(64 * 1024):
        checksum.update(piece)
        length += len(piece)
    return jsonify(length=length, sha256=checksum.hexdigest())


@flask_app.post("/flask/form")
def form():
    files = {name: [file.filename, file.read().decode("latin-1")] for name, file in request.files.items()}
    return jsonify(form=request.form.to_dict(flat=False), files=files)


@flask_app.post("/flask/json")
def echo_json():
    return jsonify(request.get_json())


@flask_app.get("/flask/raises")
def raises():
    raise ValueError("a secret of the view")


@flask_app.get("/flask/aborts")
def aborts():
    abort(451)


@flask_app.get("/flask/counted")
def counted():
    session["count"] = session.get("count", 0) + 1
    g.count = session["count"]
    return jsonify(count=g.count)


@flask_app.get("/flask/hello")
def hello():
    return "hello"


@flask_app.route("/flask/any", methods=["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def any_method():
    return jsonify(method=request.method, body=request.get_data(as_text=True))
