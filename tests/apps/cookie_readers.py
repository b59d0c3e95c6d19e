"""Native handlers that look up who asks, and answer with an error."""

from flask import Flask
from tornado.web import HTTPError, RequestHandler, authenticated

import waterspout
from waterspout.native import JSONHandler
from waterspout.native import RequestHandler as LeanHandler
from waterspout.service.sessions import FlaskSessions

keys = Flask("keys")
keys.secret_key = "of these tests alone"
sessions = FlaskSessions(keys)


def load_user(handler):
    return handler.get_cookie("user")


class Noticed:
    """A base whose classes are left alone, because it notices being subclassed."""

    def __init_subclass__(cls):
        cls.noticed = True


class Answers:
    async def get(self, status):
        if status == 500:
            raise ValueError("not a secret")
        if status == 200:
            self.set_header("Vary", "Accept")
            self.write("mine")
            return
        raise HTTPError(status)

    post = get


@waterspout.authenticated
class Plain(Answers, RequestHandler):
    pass


@waterspout.authenticated
class Lean(Answers, LeanHandler):
    pass


@waterspout.authenticated
class Speaks(Answers, JSONHandler):
    pass


@waterspout.authenticated
class LeftAlone(Answers, RequestHandler, Noticed):
    pass


class Tornados(RequestHandler):
    @authenticated
    def get(self, status):
        raise HTTPError(status)

    post = get


@waterspout.public
class Reads(Answers, RequestHandler):
    def prepare(self):
        assert not sessions.read(self)


@waterspout.public
class Indifferent(Answers, RequestHandler):
    pass


@waterspout.public
class Declines(RequestHandler):
    def get(self):
        if not sessions.read(self):
            raise waterspout.Decline
        self.write("mine")

    def post(self):
        raise waterspout.Decline


classes = (Plain, Lean, Speaks, LeftAlone, Tornados, Reads, Indifferent)
routes = [(f"/{handler.__name__.lower()}/<int:status>", handler) for handler in classes]
routes.append(("/vary", Declines))
app = waterspout.Application(
    routes, "tests.apps.cookie_views:app", login_loader=load_user, login_url="/login"
)
