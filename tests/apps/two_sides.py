"""One site on two sides: native rules, and a Flask app with some of the same paths."""

import asyncio
import contextlib
import hashlib

from flask import Flask, jsonify, make_response, request
from tornado.web import RequestHandler, stream_request_body

import waterspout
from tests.apps.table import canary
from tests.apps.witness import note

flask_app = Flask(__name__)


class Middleware:
    """As many apps are wrapped; the canary is outside all rules."""

    def __init__(self, inside):
        self.wsgi_app = inside

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == "/canary":
            return canary(environ, start_response)
        return self.wsgi_app(environ, start_response)


app = Middleware(flask_app)


def told(name, **more):
    return jsonify(side="flask", name=name, path=request.path, method=request.method, **more)


@flask_app.route("/items/<int:number>", methods=["POST", "DELETE"])
def item(number):
    return told(number, length=len(request.get_data()))


@flask_app.route("/own-options/<int:number>", methods=["POST", "OPTIONS"])
def own_options(number):
    reply = make_response(f"options of {number}")
    reply.headers["Allow"] = "POST"
    return reply


@flask_app.get("/gone/<int:number>")
def gone(number):
    return f"no {number}", 404


@flask_app.delete("/gone/<int:number>")
def delete_gone(number):
    return f"no {number} to delete", 404


@flask_app.route("/dav/<path:name>", methods=["PROPFIND", "GET"])
def dav(name):
    return told(name)


@flask_app.post("/declines-get")
def declines_get():
    return told("declines-get")


@flask_app.route("/declines", methods=["POST", "PUT", "GET"])
def declines():
    body = request.get_data()
    return told("declines", length=len(body), sha256=hashlib.sha256(body).hexdigest())


@flask_app.get("/declines-late")
def declines_late():
    note("ran", request.environ)
    return told("late")


@flask_app.route("/files/<name>", methods=["GET", "POST"])
@flask_app.route("/trees/<path:name>", methods=["GET", "POST"])
@flask_app.route("/words/<name>", methods=["GET", "POST"])
@flask_app.route("/any/<path:name>", methods=["GET", "POST"])
@flask_app.route("/folder/<name>/", methods=["GET", "POST"])
def named(name):
    return told(name)


@flask_app.route("/fixed", methods=["GET", "POST"])
def fixed():
    return told("fixed")


class Item(RequestHandler):
    def get(self, number):
        self.write({"side": "native", "name": number, "path": self.request.path})


class Named(RequestHandler):
    def get(self, name="fixed"):
        self.write({"side": "native", "name": name, "path": self.request.path})


class Put(RequestHandler):
    def put(self, **arguments):
        self.write({"side": "native", "name": arguments, "method": "PUT"})


class Declines(RequestHandler):
    """Answers itself only what is asked for with `?native`."""

    def prepare(self):
        if self.get_query_argument("when", "") == "prepare":
            raise waterspout.Decline

    async def post(self):
        self.set_header("X-Native", "1")
        self.write("native")
        if self.get_query_argument("native", None) is None:
            raise waterspout.Decline

    def put(self):
        self.write("native")
        self.flush()
        raise waterspout.Decline


class DeclinesGet(RequestHandler):
    def get(self):
        raise waterspout.Decline

    def put(self):
        self.write("native")


class DeclinesLate(RequestHandler):
    """Declines when its client has left; for one that `stays`, at once."""

    def prepare(self):
        self.left = asyncio.Event()

    async def get(self):
        note("asked", {"QUERY_STRING": self.request.query})
        if not self.get_query_argument("stays", ""):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.left.wait(), 5)
        raise waterspout.Decline

    def on_connection_close(self):
        self.left.set()


@stream_request_body
class StreamsAndDeclines(RequestHandler):
    def data_received(self, chunk):
        pass

    def post(self):
        raise waterspout.Decline


routes = [
    ("/items/<int:number>", Item),
    ("/items/<int:number>", Put),
    ("/own-options/<int:number>", Item),
    ("/gone/<int:number>", Put),
    ("/only/<int:number>", Item),
    ("/declines", Declines),
    ("/declines-get", DeclinesGet),
    ("/nobody-s", DeclinesGet),
    ("/declines-late", DeclinesLate),
    ("/streams-and-declines", StreamsAndDeclines),
    ("/files/<name>", Named),
    ("/trees/<path:name>", Named),
    (r"/words/([^/]*)", Named),
    (r"/any/(.*)", Named),
    ("/folder/<name>/", Named),
    ("/fixed", Named),
    (r"/only/(\d+)", Put),
]
