"""Native routes and whole applications, named by import strings in tests."""

from tornado.routing import RuleRouter
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler

from waterspout import Application, Container


class HelloHandler(RequestHandler):
    def get(self):
        self.write("hello")


routes = [(r"/hello", HelloHandler)]
by_path = {"/hello": HelloHandler}
stock = TornadoApplication(routes)
stock_with_container = TornadoApplication(
    [(r".*", FallbackHandler, {"fallback": Container("tests.waterspout.wsgi.apps:app")})]
)
ours_with_container = Application(
    [("/a/.*", FallbackHandler, {"fallback": Container("tests.waterspout.wsgi.apps:app")})]
)
both_with_container = Application(
    native=[("/a/.*", FallbackHandler, {"fallback": Container("tests.waterspout.wsgi.apps:app")})],
    wsgi="tests.waterspout.wsgi.apps:app",
)
ours = Application(native=routes, wsgi="tests.waterspout.wsgi.apps:app", wsgi_queue=5)

router = RuleRouter([])


class Ours(Application):
    def __init__(self):
        super().__init__(routes)


with_pools = Application(
    wsgi="tests.waterspout.wsgi.apps:app",
    wsgi_pools={"slow": {"workers": 0, "threads": 1}},
    wsgi_pool_rules=[("/slow", "slow")],
)


def make_ours():
    return Application(native=routes)


def make_routes():
    return routes
