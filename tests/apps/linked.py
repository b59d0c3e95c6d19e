"""A Flask app and native rules that build each other's URLs: what to build is JSON in the query."""

import json

from flask import Blueprint, Flask, request, url_for
from tornado.web import RequestHandler

import waterspout
from tests.apps.linked_converters import Slug, Word

NAMED = 2000


def build(**kwargs):
    return f"{url_for(request.args['name'], **json.loads(request.args.get('values', '{}')))}\n"


def ignore(**kwargs):
    return "Flask"


shop = Blueprint("shop", __name__, url_prefix="/shop")
shop.add_url_rule("/items/<int:number>", "item", ignore)
shop.add_url_rule("/build", "build", build)

app = Flask(__name__)
app.url_map.converters |= {"word": Word, "slug": Slug}
app.register_blueprint(shop)
for rule, endpoint, defaults in (
    ("/build", "build", None),
    ("/pages/<int:page>", "pages", None),
    ("/pages/", "pages", {"page": 1}),
    ("/words/<word(2):word>", "word", None),
    ("/slugs/<slug:slug>", "slug", None),
    ("/both", "both", None),
):
    app.add_url_rule(rule, endpoint, build if endpoint == "build" else ignore, defaults=defaults)


class Reverse(RequestHandler):
    def get(self):
        args = json.loads(self.get_query_argument("args", "[]"))
        values = json.loads(self.get_query_argument("values", "{}"))
        try:
            self.write(self.reverse_url(self.get_query_argument("name"), *args, **values))
        except (KeyError, ValueError) as error:
            self.write(f"{type(error).__name__}: {error.args[0]}")


class Native(RequestHandler):
    def get(self, **kwargs):
        self.write(kwargs)


routes = [
    ("/reverse", Reverse),
    ("/incidents/<int:id>", Native, None, "incident"),
    waterspout.PathRule("/log/<int:page>", Native, name="log"),
    waterspout.PathRule("/log/", Native, name="log", defaults={"page": 1}),
    ("/native/<slug:slug>", Native, None, "native-slug"),
    ("/native-both", Native, None, "both"),
]
plain = routes[:2]
many = [
    *routes,
    *((f"/many/{'x' * 200}/{number}", Native, None, f"many-{number}") for number in range(NAMED)),
]


def make(native=routes, **settings):
    return waterspout.Application(
        native=native, wsgi="tests.apps.linked:app", url_converters={"slug": Slug}, **settings
    )


def make_many():
    return make(many)


def make_mounted():
    return make(root_path="/mounted")
