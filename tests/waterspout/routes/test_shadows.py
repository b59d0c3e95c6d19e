"""What is said about shadowed views at the start: nothing that `waterspout routes --check` would not say."""

import math

import pytest
from flask import Flask
from tornado.routing import HostMatches
from tornado.web import RequestHandler, StaticFileHandler
from werkzeug.routing import BaseConverter, Rule

import waterspout
from waterspout import Application
from waterspout.routes import shadows
from waterspout.routes.judging import examine
from waterspout.routes.shadows import find_shadowed, tell_shadows
from waterspout.wsgi.linking import link
from waterspout.wsgi.naming import Names


class Reads(RequestHandler):
    def get(self, *args, **kwargs):
        pass


@waterspout.replaces("meant")
class Meant(Reads):
    pass


class Slug(BaseConverter):
    regex = "[a-z-]+"


class Asks(BaseConverter):
    asked = 0

    def to_python(self, value):
        Asks.asked += 1
        return value


def make_flask(**rules):
    """For each endpoint: its path, or path and methods."""
    flask = Flask("shop")
    flask.url_map.converters["slug"] = Slug
    for endpoint, rule in rules.items():
        path, *methods = rule.split()
        flask.add_url_rule(path, endpoint, print, methods=methods or ["GET"])
    return flask


VIEWS = {
    "home": "/",
    "feed": "/articles/feed",
    "article": "/articles/<slug:name>",
    "item": "/items/<int:number>",
    "named": "/items/<name>",
    "bounded": "/items/<int(min=5):number>/<name>",
    "posted": "/items/new POST",
    "both": "/both GET POST",
    "meant": "/meant",
    "dotted": "/dotted/<float:x>/<uuid:y>",
    "slashed": "/slashed",
    "spoken": "/größe",
    "files": "/files/<path:file>",
}


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ([("/other", Reads)], []),
        ([("/", Reads)], ["home"]),
        ([("/articles/<name>", Reads)], ["feed"]),
        ([("/items/<int:n>", Reads)], ["item"]),
        ([(r"/items/([^/]+)", Reads)], ["item", "named"]),
        ([("/both", Reads)], ["both"]),
        ([("/meant", Meant), ("/both", Meant)], ["both"]),
        ([("/dotted/<x>/<y>", Reads)], ["dotted"]),
        ([("/slashed/", Reads)], ["slashed"]),
        ([("/größe", Reads)], ["spoken"]),
        ([(r"/(static|files)/(.*)", Reads)], ["static", "files"]),
        ([("/articles/<narrow:name>", Reads), ("/both", Reads)], ["feed", "both"]),
    ],
)
def test_the_views_are_found_that_a_thorough_look_finds_too(rules, found):
    flask = make_flask(**VIEWS)
    application = Application(rules, wsgi=flask, url_converters={"narrow": Slug})
    assert find_shadowed(application, link(flask, Names())) == found
    known = {finding.target for finding in examine(application, flask, flask).undeclared}
    assert known.issuperset(found)


def test_where_hosts_decide_nothing_is_concluded():
    application = Application([("/", Reads)], wsgi=make_flask(home="/"))
    application.add_handlers("shop.example", [("/", Reads)])
    assert find_shadowed(application, link(make_flask(home="/"), Names())) == []
    rules = [(HostMatches("x"), [("/", Reads)])]
    assert find_shadowed(Application(rules, wsgi=print), link(make_flask(home="/"), Names())) == []


def test_a_rule_of_another_host_is_none_of_ours():
    flask = Flask("shop", host_matching=True, static_host="shop.example")
    flask.add_url_rule("/", "home", print, host="shop.example")
    assert find_shadowed(Application([("/", Reads)], wsgi=flask), link(flask, Names())) == []


def test_what_no_view_answers_is_shadowed_by_nobody():
    flask = make_flask(home="/")
    for name, options in (
        ("built", {"build_only": True}),
        ("sent", {"redirect_to": "/"}),
        ("ws", {"websocket": True}),
    ):
        flask.url_map.add(Rule(f"/{name}", endpoint=name, **options))
    rules = [(f"/{name}", Reads) for name in ("built", "sent", "ws")]
    assert find_shadowed(Application(rules, wsgi=flask), link(flask, Names())) == []


def test_nothing_is_said_of_a_handler_that_may_decline_nor_of_the_setting_for_static_files(tmp_path):
    class Declines(Reads):
        def prepare(self):
            raise waterspout.Decline

    flask = make_flask(home="/")
    application = Application([("/", Declines)], wsgi=flask, static_path=str(tmp_path))
    assert find_shadowed(application, link(flask, Names())) == []
    application = Application([(r"/static/(.*)", Reads)], wsgi=flask)
    assert find_shadowed(application, link(flask, Names())) == ["static"]


def test_the_loop_is_held_for_no_longer_than_that():
    flask = make_flask(**{f"view{number}": f"/{number}" for number in range(50)})
    application = Application([("/<number>", Reads)], wsgi=flask)
    assert len(find_shadowed(application, link(flask, Names()))) == 50
    assert find_shadowed(application, link(flask, Names()), -1) == []


def test_no_converter_of_the_app_s_is_asked():
    """It may wait for a database, which would hold up the start."""
    flask = make_flask(item="/items/<name>", home="/")
    rules = [("/items/<asks:name>", Reads), ("/", Reads)]
    application = Application(rules, wsgi=flask, url_converters={"asks": Asks})
    assert find_shadowed(application, link(flask, Names())) == []
    assert Asks.asked == 0


def test_nothing_is_said_of_a_static_handler_of_the_application_s_own(tmp_path):
    class Files(StaticFileHandler):
        pass

    flask = make_flask(home="/")
    application = Application([], wsgi=flask, static_path=str(tmp_path), static_handler_class=Files)
    assert find_shadowed(application, link(flask, Names())) == []


def test_it_is_one_line_with_the_first_names(capsys, monkeypatch):
    monkeypatch.setattr(shadows, "_TIME", math.inf)
    flask = make_flask(**{name: f"/{name}" for name in "abcde"})
    for size, said in ((0, ""), (1, "a Flask view (a): "), (5, "5 Flask views (a, b, c, ...): ")):
        rules = [(f"/{name}", Reads) for name in "abcde"[:size]]
        tell_shadows(Application(rules, wsgi=flask), link(flask, Names()))
        told = capsys.readouterr().err
        assert told.count("\n") == bool(size)
        assert said in told
    assert "waterspout routes --check" in told
