"""Native handlers that can't be created, and rules that can't be matched."""

from datetime import date

from tornado.routing import HostMatches, Rule
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler, stream_request_body
from tornado.websocket import WebSocketHandler
from werkzeug.routing import BaseConverter

import waterspout
from tests.apps.natives import Ping
from waterspout.native import JSONHandler


class NoDatabase(Exception):
    pass


class Broken:
    def initialize(self, by=None):
        raise by or NoDatabase("it is not there")

    def get(self):
        self.write("never")

    post = get


class Plain(Broken, RequestHandler):
    pass


class Lean(Broken, JSONHandler):
    pass


@stream_request_body
class Streams(Broken, RequestHandler):
    def data_received(self, chunk):
        raise AssertionError


@waterspout.authenticated
@stream_request_body
class StreamsForSome(Broken, RequestHandler):
    def data_received(self, chunk):
        raise AssertionError


class Socket(Broken, WebSocketHandler):
    get = WebSocketHandler.get


class Defaults(RequestHandler):
    def set_default_headers(self):
        raise NoDatabase

    def get(self):
        self.write("never")

    post = get


class Day(BaseConverter):
    def to_python(self, value):
        return date.fromisoformat(value)  # not turned into a ValidationError: a common slip


class OfDay(RequestHandler):
    def get(self, day):
        self.write(f"{day:%j}")

    post = get


routes = [
    ("/native/ping", Ping),
    ("/plain", Plain),
    ("/exits", Plain, {"by": SystemExit(5)}),
    ("/panics", Plain, {"by": BaseException("panic")}),
    ("/lean", Lean),
    (r"/re(?:gular)?", Plain),
    ("/streams", Streams),
    ("/streams-for-some", StreamsForSome),
    ("/socket", Socket),
    ("/defaults", Defaults),
    ("/unexpected", Ping, {"methods": ["GET"], "password": "the-secret"}),
    ("/day/<day:day>", OfDay),
]
settings = {"wsgi": "tests.apps.working:app", "wsgi_workers": 0, "url_converters": {"day": Day}}
quick = waterspout.Application(routes, **settings)
nested = TornadoApplication([(r".*", FallbackHandler, {"fallback": quick})])
#: Takes none of the fast paths.
slow = waterspout.Application(
    [Rule(HostMatches("other.example"), [("/x", Ping)]), *routes], compiled_template_cache=False, **settings
)
