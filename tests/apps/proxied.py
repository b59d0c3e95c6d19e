"""Both sides report what they know about where a request came from, and make links with it."""

from flask import Flask, jsonify, redirect, request, url_for
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler
from werkzeug.middleware.proxy_fix import ProxyFix

flask_app = Flask(__name__)


@flask_app.get("/told")
def told():
    environ = request.environ
    return jsonify(
        address=request.remote_addr,
        scheme=request.scheme,
        host=request.host,
        root_path=request.root_path,
        path=request.path,
        url=request.url,
        headers={name.lower(): value for name, value in request.headers},
        server=[environ["SERVER_NAME"], environ["SERVER_PORT"]],
        target=environ["RAW_URI"],
        link=url_for("told", _external=True),
        port=environ["REMOTE_PORT"],
        disbelieved="waterspout.forwarded" in environ,
    )


@flask_app.get("/leave")
def leave():
    return redirect(url_for("told"))


@flask_app.post("/same")
def same():
    """What the origin check of an ordinary app does."""
    return jsonify(request.headers.get("Origin") == request.host_url.rstrip("/"))


@flask_app.get("/")
def home():
    return "home"


#: An app that trusts one proxy by itself.
fixed_app = Flask(__name__)
fixed_app.add_url_rule("/told", "told", told)
fixed_app.wsgi_app = ProxyFix(fixed_app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)


class Told(RequestHandler):
    def get(self):
        request = self.request
        self.write(
            {
                "address": request.remote_ip,
                "scheme": request.protocol,
                "host": request.host,
                "root_path": request.root_path,
                "path": request.path,
                "url": request.full_url(),
                "headers": {name.lower(): value for name, value in request.headers.get_all()},
                "target": request.uri,
                "link": f"{request.protocol}://{request.host}{request.root_path}/told",
            }
        )


class Leave(RequestHandler):
    def get(self):
        self.redirect(self.request.root_path + "/told")


class Echo(WebSocketHandler):
    def on_message(self, message):
        self.write_message(message)


class Posted(RequestHandler):
    def post(self):
        self.write({"length": len(self.request.body), "address": self.request.remote_ip})


routes = [
    (r"/native/told", Told),
    (r"/native/leave", Leave),
    (r"/native/socket", Echo),
    (r"/native/posted", Posted),
]
