"""Shadows, and rules that no request reaches, are found by asking; what is intended is not in the way."""

import functools
import re

import flask
import flask_login
import pytest
from flask import Blueprint, Flask, current_app
from flask.views import View
from flask_login import LoginManager, login_required
from tornado.routing import HostMatches
from tornado.routing import Rule as TornadoRule
from tornado.web import Application as TornadoApplication
from tornado.web import FallbackHandler, RequestHandler, StaticFileHandler
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.routing import BaseConverter, Rule

import waterspout
from waterspout import Application, Container, PathRule
from waterspout.exceptions import AccessUndeclared
from waterspout.routes.judging import examine
from waterspout.routes.listing import find_container


class Get(RequestHandler):
    def get(self, **kwargs):
        self.write({})


class Post(RequestHandler):
    def post(self, **kwargs):
        self.write({})


class Both(Get, Post):
    pass


class Anything(RequestHandler):
    def prepare(self):
        self.finish("whatever it was")


@waterspout.replaces("item")
class Item(Get):
    pass


@waterspout.public
class Public(Get):
    pass


class Slug(BaseConverter):
    regex = "[a-z]{3}-[0-9]{3}"


def view(**kwargs):
    return "Flask"


def make_flask(*rules, **options):
    """Each rule: (path, endpoint), or (path, endpoint, methods)."""
    app = Flask("shop", static_folder=None, **options)
    app.url_map.converters["slug"] = Slug
    answer = functools.partial(view)
    for path, endpoint, *methods in rules:
        app.add_url_rule(path, endpoint, answer, methods=methods[0] if methods else None)
    return app


def judge(native, flask, **settings):
    application = Application(native=native, wsgi=flask, **settings)
    return examine(application, flask, flask, "shop:app")


def find_kinds(report):
    return [(finding.kind, finding.target, finding.declared) for finding in report.findings]


@pytest.mark.parametrize(
    ("native", "flask", "kind"),
    [
        ("/items/<id>", "/items/<id>", "shadowed"),
        ("/items/<id>", "/items/<int:id>", "shadowed"),
        ("/<path:all>", "/items/<int:id>", "shadowed"),
        (r"/items/([^/]+)", "/items/<id>", "shadowed"),
        (r"/.*", "/a/<path:p>/b", "shadowed"),
        ("/items/new", "/items/<id>", "partly-shadowed"),
        ("/items/<int:id>", "/items/<id>", "partly-shadowed"),
        (r"/items/([0-9]{1,19})", "/items/<id>", "partly-shadowed"),
        (r"/files/x.*", "/files/<path:p>", "partly-shadowed"),
        ("/files/<name>", "/files/<path:p>", "partly-shadowed"),
        ("/<lang>/about/", "/de/<page>/", "partly-shadowed"),
        ("/<any(red, green):c>", "/<c>", "partly-shadowed"),
        ("/p/<slug:s>", "/p/<s>", "partly-shadowed"),
        ("/p/<uuid:s>", "/p/<s>", "partly-shadowed"),
        ("/<int(fixed_digits=8):day>", "/<int:n>", "partly-shadowed"),
        ("/a/", "/a", "shadowed"),  # it redirects the client away from Flask's own path
        ("/items/<int:id>", "/items/<any(new, old):id>", None),
        ("/items/<int:id>", "/items/<uuid:id>", None),
        ("/items", "/items/", None),
        ("/items/new", "/items/<int:id>", None),
        ("/healthz", "/", None),
    ],
)
def test_a_shadow_is_found_by_asking(native, flask, kind):
    report = judge([(native, Get)], make_flask((flask, "it")), url_converters={"slug": Slug})
    assert find_kinds(report) == ([(kind, "it", False)] if kind else [])
    assert report.notes == []
    for finding in report.findings:
        assert finding.samples
        assert all(sample.startswith("GET /") for sample in finding.samples)


def test_of_a_handler_that_may_decline_that_is_said():
    class Declines(RequestHandler):
        def get(self):
            raise waterspout.Decline

    (finding,) = judge([("/items", Declines)], make_flask(("/items", "it"))).findings
    assert re.search(r"Declines \(.*\), which may decline, answers all of it\.", finding.text)
    assert finding.kind == "shadowed"
    (finding,) = judge([("/items", Get)], make_flask(("/items", "it"))).findings
    assert "decline" not in finding.text


def test_some_methods_are_a_part():
    flask = make_flask(("/items", "it", ["GET", "POST"]))
    (finding,) = judge([("/items", Get)], flask).findings
    assert (finding.kind, finding.methods) == ("partly-shadowed", ("GET",))
    assert "POST /items still reaches Flask" in finding.text
    assert judge([("/items", Both)], flask).findings[0].kind == "shadowed"
    assert judge([("/items", Anything)], flask).findings[0].kind == "shadowed"


def test_methods_that_follow_by_themselves_are_not_worth_a_word():
    assert judge([("/items", Get)], make_flask(("/items", "it", ["POST"]))).findings == []
    assert judge([("/items", Post)], make_flask(("/items", "it"))).findings == []


def test_a_shadow_that_is_meant_is_declared_by_the_endpoint_s_name():
    flask = make_flask(("/items/<id>", "item"), ("/items/<id>/more", "more"))
    native = [("/items/<int:id>", Item), ("/items/<id>/more", Item)]
    report = judge(native, flask)
    assert find_kinds(report) == [("partly-shadowed", "item", True), ("shadowed", "more", False)]
    assert [finding.target for finding in report.undeclared] == ["more"]
    assert '@waterspout.replaces("more") above Item' in report.undeclared[0].advice


@waterspout.replaces("products", "nothing.like.it")
class Products(Get):
    pass


def test_a_wrong_name_is_said_once_with_the_one_that_may_be_meant():
    flask = make_flask(("/products/<id>", "api.products"), ("/orders", "api.orders"))
    report = judge([("/products/<id>", Products), ("/products/new", Products)], flask)
    who, stale = f"{__name__}.Products replaces", "which is not an endpoint of the Flask app"
    assert report.notes == [
        f"{who} 'nothing.like.it', {stale}",
        f"{who} 'products', {stale}: did you mean 'api.products'?",
    ]


def test_only_who_has_not_declared_it_is_asked_to():
    native = [("/items/<int:id>", Item), ("/items/new", Get)]
    (finding,) = judge(native, make_flask(("/items/<id>", "item"))).undeclared
    assert len(finding.by) == 2
    assert " answer some of it; " in finding.text
    assert finding.advice.endswith('@waterspout.replaces("item") above Get')


def test_a_declaration_is_not_inherited_and_not_empty():
    below = type("Below", (Item,), {})
    assert not judge([("/items", below)], make_flask(("/items", "item"))).findings[0].declared
    with pytest.raises(TypeError, match="name the endpoints"):
        waterspout.replaces()


def test_a_declaration_of_what_is_not_there_is_said():
    report = judge([("/other", Item)], make_flask(("/x", "x")))
    assert report.undeclared == []
    assert "'item', which is not an endpoint" in report.notes[0]


@pytest.mark.parametrize("rule", [("/me", Item), ("/items/<int:id>/x", Item), (r"/item/(?P<id>\d+)", Item)])
def test_a_declaration_of_what_the_handler_never_takes_is_said_once(rule):
    """For example if a blueprint's prefix was forgotten."""
    flask = make_flask(("/shop/items/<int:id>", "item"), ("/shop/item", "item", ["GET", "PUT"]))
    report = judge([rule, ("/other", Item)], flask)
    assert report.findings == []
    assert report.notes == [
        f"{__name__}.Item replaces 'item', but takes none of its requests (GET /shop/items/<int:id> and "
        "GET, PUT /shop/item)"
    ]


def test_so_is_one_of_other_methods():
    @waterspout.replaces("item")
    class Posts(Post):
        pass

    (note,) = judge([("/items/<int:id>", Posts)], make_flask(("/items/<int:id>", "item"))).notes
    assert note.endswith("Posts replaces 'item', but takes none of its requests (GET /items/<int:id>)")


def test_a_handler_that_takes_some_of_it_by_one_of_its_rules_is_not_worth_a_word():
    flask = make_flask(("/items/<id>", "item", ["GET", "POST"]), ("/item", "item"))
    assert judge([("/me", Item), ("/items/<int:id>", Item)], flask).notes == []


def test_a_handler_whose_rules_are_not_all_known_is_not_judged_by_those_that_are():
    elsewhere = TornadoRule(HostMatches("shop.example"), [("/items/<int:id>", Item)])
    (note,) = judge([elsewhere, ("/me", Item)], make_flask(("/items/<int:id>", "item"))).notes
    assert note.startswith("not checked, Tornado's routers decide")


def test_a_view_that_is_gone_leaves_its_name_to_the_native_rule():
    native = [PathRule("/items/<int:id>", Item, name="item")]
    (note,) = judge(native, make_flask(("/items", "items"))).notes
    assert note == (
        f"{__name__}.Item replaces 'item', which is gone: a native rule has its name now, so "
        "@waterspout.replaces can be removed, too"
    )


def test_a_native_rule_behind_others_is_unreachable():
    native = [(r"/items/.*", Get), ("/items/<int:id>", Both), ("/items/<int:id>/more", Get)]
    report = judge(native, make_flask())
    assert [(finding.kind, finding.path) for finding in report.findings] == [
        ("unreachable", "/items/<int:id>/more")
    ]
    assert "native /items/.*$ of" in report.findings[0].text
    native = [("/<a>", Get), ("/items", Post), (r"/items", Anything)]
    assert judge(native, make_flask()).findings == []


def test_within_a_map_weights_decide_and_equals_are_unreachable():
    assert judge([("/<a>", Get), ("/items", Get)], make_flask()).findings == []
    (finding,) = judge([("/<a>", Get), ("/<b>", Public)], make_flask()).findings[:1]
    assert (finding.kind, finding.path) == ("unreachable", "/<b>")


def test_a_rule_of_flask_s_behind_another_is_unreachable():
    report = judge([], make_flask(("/items/<id>", "one"), ("/items/<name>", "other"), ("/items/new", "new")))
    assert find_kinds(report) == [("unreachable", "other", False)]
    assert "Flask's 'one'" in report.findings[0].text


def test_a_rule_behind_one_of_the_same_installed_package_is_that_package_s_affair():
    """As in Flask-RESTX: nobody who uses it could settle it."""
    app = make_flask()
    app.add_url_rule("/api/", "api.doc", flask.redirect)
    app.add_url_rule("/api/", "api.root", flask.abort)
    assert judge([], app).findings == []
    app.add_url_rule("/api/", "user", flask_login.logout_user)  # where a package stands is up to the app
    app.add_url_rule("/api/", "own", view)
    assert find_kinds(judge([], app)) == [("unreachable", "user", False), ("unreachable", "own", False)]


def test_a_rule_of_an_app_that_is_itself_an_installed_package_is_still_the_app_s_own():
    """As in an image that is built by `pip install .`: native code imports the app, so nobody names it."""
    app = Flask("flask_login.web", static_folder=None)
    app.add_url_rule("/out", "one", flask_login.login_user)
    app.add_url_rule("/out", "other", flask_login.logout_user)
    assert find_kinds(judge([], app)) == [("unreachable", "other", False)]


def test_a_view_class_is_the_app_s_own_though_its_function_is_flask_s():
    app = make_flask()
    for name in ("one", "other"):
        app.add_url_rule("/items", name, type("Items", (View,), {"__module__": __name__}).as_view(name))
    assert find_kinds(judge([], app)) == [("unreachable", "other", False)]


def test_aliases_and_defaults_that_redirect_are_not_unreachable():
    app = make_flask()
    app.add_url_rule("/page/<int:n>", "page", view)
    app.add_url_rule("/page/", "page", view, defaults={"n": 1})
    app.url_map.add(app.url_rule_class("/old", endpoint="old", redirect_to="/page/"))
    app.url_map.add(app.url_rule_class("/cdn/<path:p>", endpoint="cdn", build_only=True))
    assert judge([], app).findings == []


def test_a_second_endpoint_without_a_function_is_only_a_name_for_url_for():
    app = make_flask(("/", "blog.index"))
    app.add_url_rule("/", endpoint="index")  # as in Flask's tutorial
    assert judge([], app).findings == []
    (finding,) = judge([("/", Get)], app).findings
    assert (finding.kind, finding.target) == ("shadowed", "blog.index")


def test_access_that_is_not_declared_is_told_where_it_matters():
    flask = make_flask()
    assert judge([("/a", Get)], flask).findings == []
    (finding,) = judge([("/a", Get), ("/b", Public)], flask).findings
    assert (finding.kind, finding.target) == ("access-undeclared", f"{__name__}.Get")
    assert judge([("/b", Public)], flask, login_loader=lambda handler: None).findings == []


class Wants(BaseConverter):
    """Needs an app that is not there while rules are judged."""

    def to_python(self, value):
        return current_app.config[value]


def test_a_rule_whose_converter_raises_is_named_and_the_others_are_judged():
    flask = make_flask(("/", "home"))
    flask.url_map.converters["wants"] = Wants
    flask.add_url_rule("/<wants:tenant>/orders", "orders", view)
    flask.add_url_rule("/<name>/profile", "profile", view)
    report = judge([("/<org>/orders", Get), ("/<name>/profile", Get)], flask)
    assert find_kinds(report) == [("shadowed", "profile", False)]
    (note,) = [note for note in report.notes if "converter raises" in note]
    assert note.startswith("not checked, a converter raises at /")
    assert note.endswith("Working outside of application context.") or "application context" in note


def test_so_is_a_native_one():
    report = judge(
        [("/<wants:tenant>/x", Get), ("/a", Get)],
        make_flask(("/<name>/x", "x"), ("/a", "a")),
        url_converters={"wants": Wants},
    )
    assert find_kinds(report) == [("shadowed", "a", False)]
    assert any("a converter raises at /" in note for note in report.notes)


def test_a_rule_that_only_redirects_is_not_judged():
    flask = make_flask(("/new", "new"))
    flask.url_map.add(Rule("/old", endpoint=("not", "a string"), redirect_to="/new"))
    report = judge([("/old", Get)], flask)
    assert report.findings == []
    assert any(note.startswith("not checked, it only redirects: /old") for note in report.notes)


def test_files_of_static_path_are_everybody_s(tmp_path):
    settings = {"login_loader": lambda handler: None, "login_url": "/l", "static_path": str(tmp_path)}
    assert judge([("/b", Public)], make_flask(), **settings).findings == []

    class Files(StaticFileHandler):
        pass

    with pytest.raises(AccessUndeclared, match="Files: who may use GET"):
        Application([("/b", Public)], static_handler_class=Files, **settings)
    files = waterspout.public(Files)
    assert judge([("/b", Public)], make_flask(), static_handler_class=files, **settings).findings == []


def test_access_is_told_by_method():
    class Mixed(RequestHandler):
        @waterspout.public
        def get(self):
            pass

        @waterspout.authenticated
        def post(self):
            pass

    (row,) = judge([("/a", Mixed)], make_flask()).rows
    assert row.access == "GET public, POST authenticated"
    assert row.source.startswith("tests/waterspout/routes/test_judging.py:")


def test_logins_of_flask_are_seen():
    app = Flask("shop", static_folder=None)
    LoginManager(app)
    inner, outer = Blueprint("inner", __name__), Blueprint("outer", __name__, url_prefix="/outer")

    class Page(View):
        decorators = (login_required,)

    @app.get("/guarded")
    @login_required
    def guarded():
        pass

    @inner.before_request
    @login_required
    def check():
        pass

    app.add_url_rule("/page", view_func=Page.as_view("page"))
    app.add_url_rule("/open", "open", view)
    inner.add_url_rule("/inner", "it", view)
    outer.register_blueprint(inner)
    app.register_blueprint(outer)
    access = {row.name: row.access for row in judge([], app).rows}
    assert access == {
        "guarded": "login_required",
        "page": "login_required",
        "outer.inner.it": "login_required",
        "open": "-",
    }


@waterspout.replaces("guarded")
class Undecided(Both):
    pass


@waterspout.replaces("guarded")
@waterspout.public
class Open(Both):
    pass


@waterspout.replaces("guarded")
@waterspout.authenticated
class Closed(Both):
    pass


@pytest.mark.parametrize(
    ("handler", "says"), [(Undecided, "does not say who may use it"), (Open, "is public"), (Closed, None)]
)
def test_a_handler_that_lets_everybody_in_where_flask_does_not_is_named(handler, says):
    app = Flask("shop", static_folder=None)
    LoginManager(app)

    @app.route("/guarded", methods=["GET", "POST"])
    @login_required
    def guarded():
        pass

    app.add_url_rule("/open", "open", view)
    report = judge([("/guarded", handler), ("/open", Public)], app)
    notes = [note for note in report.notes if "login_required" in note]
    assert len(notes) == (says is not None)
    for note in notes:
        assert re.fullmatch(
            rf"native /guarded of \S+{handler.__name__} \(\S+\) {says}, but Flask's 'guarded' \(\S+\), "
            "which it answers instead of, is login_required: "
            "write @waterspout.authenticated, unless that is meant",
            note,
        )


def test_rules_are_listed_in_the_order_in_which_they_are_asked():
    app = make_flask(("/z", "z"), ("/a", "a", ["POST"]))
    native = [(r"/b", Get), PathRule("/c/<x>", Both, name="c"), ("/d", Anything)]
    rows = judge(native, app).rows
    assert [(row.path, row.methods, row.owner, row.name) for row in rows] == [
        ("/b", ("GET",), "native", None),
        ("/c/<x>", ("GET", "POST"), "native", "c"),
        ("/d", None, "native", None),
        ("/z", ("GET",), "Flask", "z"),
        ("/a", ("POST",), "Flask", "a"),
    ]


def test_what_a_table_can_t_say_is_named_and_the_rest_is_judged():
    app = make_flask(("/a", "a"))
    application = Application(
        native=[(r"/nested", [(r"/nested/x", Get)]), TornadoRule(HostMatches("api"), Get), ("/a", Get)],
        wsgi=app,
    )
    application.add_handlers("admin.example", [(r"/a", Get)])
    report = examine(application, app, app)
    assert find_kinds(report) == [("shadowed", "a", False)]
    assert len(report.notes) == 3
    assert all(note.startswith("not checked, Tornado's routers decide: ") for note in report.notes)


def test_hosts_of_flask_rules_are_asked_and_those_that_vary_are_named():
    app = make_flask(("/a", "plain"), subdomain_matching=True)
    app.config["SERVER_NAME"] = "localhost"
    app.add_url_rule("/b", "api", view, subdomain="api")
    app.add_url_rule("/c", "tenant", view, subdomain="<tenant>")
    report = judge([("/b", Get), ("/c", Get)], app)
    assert find_kinds(report) == [("shadowed", "api", False)]
    assert report.notes == ["not checked, its host varies: <tenant>./c (tenant)"]


def test_an_app_that_is_not_flask_s_is_one_line():
    def app(environ, start_response):
        raise AssertionError("it is not called")

    application = Application(native=[(r"/.*", Get), ("/a", Get)], wsgi=app)
    report = examine(application, app, None, "shop:app")
    assert [row.owner for row in report.rows] == ["native", "native", "WSGI"]
    assert [finding.kind for finding in report.findings] == ["unreachable"]
    assert report.notes == [
        "shop:app is not a Flask app: its rules are not known, and only native ones are checked"
    ]


@pytest.mark.parametrize("way", ["beside", "inside"])
def test_an_app_of_flask_s_that_is_mounted_is_judged_where_it_is(way):
    site, api = (
        make_flask(("/", "index"), ("/fast", "fast")),
        make_flask(("/items", "items"), ("/n/<int:id>", "n")),
    )
    if way == "beside":
        app = DispatcherMiddleware(site, {"/api": api})
    else:
        app, site.wsgi_app = site, DispatcherMiddleware(site.wsgi_app, {"/api": api})
    native = [("/api/items", Get), ("/api/n/1", Get), ("/items", Get), ("/api/fast", Get)]
    report = examine(Application(native=native, wsgi=app), app, site)
    assert find_kinds(report) == [("shadowed", "items", False), ("partly-shadowed", "n", False)]
    assert [row.path for row in report.rows if row.owner == "Flask"] == [
        "/",
        "/fast",
        "/api/items",
        "/api/n/<int:id>",
    ]
    assert report.notes == []


def test_what_stands_behind_a_mounted_app_is_never_asked():
    site, api = make_flask(("/api/items", "old")), make_flask(("/items", "items"))
    app = DispatcherMiddleware(site, {"/api": api})
    report = examine(Application(native=[("/x", Get)], wsgi=app), app, site)
    assert find_kinds(report) == [("unreachable", "old", False)]


def test_an_app_that_is_mounted_twice_is_judged_at_either_place():
    site = make_flask(("/items", "items"))
    app = DispatcherMiddleware(site, {"/v1": site, "/v2": site})
    report = examine(Application(native=[("/v1/items", Get)], wsgi=app), app, site)
    assert [(found.path, found.kind) for found in report.findings] == [("/v1/items", "shadowed")]


def test_a_mounted_app_that_is_not_flask_s_is_named():
    def plain(environ, start_response):
        raise AssertionError("it is not called")

    site = make_flask(("/", "index"), ("/api/new", "old"))
    app = DispatcherMiddleware(site, {"/api": plain, "/api/v2": make_flask(("/items", "items"))})
    native = [("/api/items", Get), ("/api/v2/items", Get)]
    report = examine(Application(native=native, wsgi=app), app, site)
    assert find_kinds(report) == [("shadowed", "items", False)]
    assert ("/api/.*", "WSGI") in [(row.path, row.owner) for row in report.rows]
    assert "not checked: a WSGI app that is not a Flask app is mounted at /api" in report.notes


def test_a_stock_application_is_listed_and_not_judged():
    app = make_flask(("/a", "a"))
    container = Container(app)
    application = TornadoApplication([(r"/a", Get), (r".*", FallbackHandler, {"fallback": container})])
    assert find_container(application) is container
    report = examine(application, app, app)
    assert [row.owner for row in report.rows] == ["native", "Flask"]
    assert report.findings == ()
    assert "stock" in report.notes[0]
