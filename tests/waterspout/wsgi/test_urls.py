"""URLs of the other side's rules, here and as another process is told them."""

import sys
from types import ModuleType

import pytest
from flask import Blueprint, Flask, url_for
from werkzeug.exceptions import NotFound
from werkzeug.routing import BuildError, IntegerConverter, Map, Rule

from tests.apps.linked_converters import Slug, Word
from tests.waterspout.wsgi.telling import tell
from waterspout.wsgi.linking import link
from waterspout.wsgi.naming import Names
from waterspout.wsgi.urls import NativeUrls, ToldUrls, find_importable, find_loaded


class Padded(IntegerConverter):
    """Builds URLs as Werkzeug's does, and takes the same arguments."""


class Odd(IntegerConverter):
    def __init__(self, url_map, what):
        super().__init__(url_map)


def view(**kwargs):
    return "Flask"


def make_flask(*rules, **options):
    """Each rule: (path, endpoint), or (path, endpoint, options)."""
    app = Flask("shop", static_folder=None, **options)
    app.url_map.converters |= {"word": Word, "slug": Slug, "padded": Padded, "odd": Odd}
    for path, endpoint, *more in rules:
        app.add_url_rule(path, endpoint, view, **(more[0] if more else {}))
    return app


def make_names(*rules, **converters):
    names = Names(converters=converters)
    for path, endpoint, *defaults in rules:
        names.add(path, endpoint, defaults=defaults[0] if defaults else None, methods=["GET"])
    return names


@pytest.fixture(params=["here", "told"])
def across(request):
    return tell if request.param == "told" else lambda names: names


# --- endpoints, for handlers -----------------------------------------------------------------------------


def test_endpoints_are_built_as_flask_builds_them(across):
    app = make_flask(
        ("/items/<int:n>", "item"), ("/pages/<int:n>", "pages"), ("/words/<word(2):w>/<path:p>", "word")
    )
    app.add_url_rule("/pages/", "pages", defaults={"n": 1})
    urls = ToldUrls(across(link(app, Names())))
    with app.test_request_context():
        for endpoint, args, values in (
            ("item", (7,), {"n": 7}),
            ("item", (), {"n": 7, "q": "a b", "many": [1, 2]}),
            ("pages", (1,), {"n": 1}),
            ("pages", (2,), {"n": 2}),
            ("word", ("ab", "x/y z"), {"w": "ab", "p": "x/y z"}),
        ):
            assert urls.build(endpoint, args, values) == url_for(endpoint, **values)


def test_an_endpoint_that_is_not_there_is_none(across):
    assert ToldUrls(across(link(make_flask(), Names()))).build("nothing", (), {}) is None


def test_wrong_arguments_are_a_value_error(across):
    urls = ToldUrls(across(link(make_flask(("/items/<int:n>", "item")), Names())))
    for args, values in (((), {}), ((), {"m": 1}), ((1, 2), {})):
        with pytest.raises(ValueError, match="item"):
            urls.build("item", args, values)


def test_what_is_of_another_host_has_no_path(across):
    app = make_flask(("/a", "a", {"subdomain": "api"}), ("/b", "b"), subdomain_matching=True)
    urls = ToldUrls(across(link(app, Names())))
    assert urls.build("b", (), {}) == "/b"
    with pytest.raises(ValueError, match="has its own host"):
        urls.build("a", (), {})


def test_a_converter_that_is_not_imported_here_does_as_werkzeug_s_class_that_it_is_like():
    app = make_flask(("/w/<word(2):w>", "word"), ("/p/<padded(fixed_digits=4):n>", "padded"))
    urls = ToldUrls(tell(link(app, Names())), lambda path: None)
    assert urls.build("word", ("a b",), {}) == "/w/a%20b"
    assert urls.build("padded", (7,), {}) == "/p/0007"


def test_a_converter_with_a_way_of_its_own_is_never_guessed():
    app = make_flask(("/s/<slug:s>", "slug"), ("/o/<odd(1):n>", "odd"))
    urls = ToldUrls(tell(link(app, Names())), lambda path: None)
    with pytest.raises(ValueError, match=r"import tests\.apps\.linked_converters where"):
        urls.build("slug", ("A B",), {})
    with pytest.raises(ValueError, match="has its own to_url"):
        urls.build("odd", (1,), {})
    assert ToldUrls(tell(link(app, Names())), find_loaded).build("slug", ("A B",), {}) == "/s/a-b"


def test_an_endpoint_that_has_no_name_is_passed_by():
    app = ModuleType("an app of Werkzeug's")
    app.url_map = Map([Rule("/a", endpoint=view), Rule("/b", endpoint="b")])
    assert [rule["endpoint"] for rule in link(app, make_names(("/c", "c"))).rules] == ["b"]


def test_only_the_converters_of_its_own_rules_matter_to_an_endpoint():
    app = make_flask(("/s/<slug:s>", "slug"), ("/<slugs>/<int:slug>", "plain"))
    urls = ToldUrls(tell(link(app, Names())), lambda path: None)
    assert urls.build("plain", ("a", 1), {}) == "/a/1"


def test_a_converter_in_place_of_the_usual_one_is_used(across):
    app = make_flask(("/<what>", "it"))
    app.url_map = type(app.url_map)()
    app.url_map.converters["default"] = Slug
    app.add_url_rule("/d/<what>", "default", view)
    assert ToldUrls(across(link(app, Names()))).build("default", ("A B",), {}) == "/d/a-b"


def test_thousands_of_rules_are_told_in_small_pieces():
    names = make_names(*((f"/{'x' * 200}/{number}", str(number)) for number in range(5000)))
    assert tell(names).rules == names.rules
    assert Names().pack() == [b'{"app": "", "converters": {}, "unnamed": 0, "rules": []}']


def test_the_app_is_told_by_its_import_name():
    names = link(make_flask(*((f"/{number}", str(number)) for number in range(1000))), Names())
    assert len(names.pack()) > 1
    assert (tell(names).app, tell(names).rules) == ("shop", names.rules)


def test_a_default_that_json_can_t_say_goes_as_its_text():
    assert tell(make_names(("/a", "a", {"x": 1 + 2j}))).rules[0]["defaults"] == {"x": "(1+2j)"}


def test_modules_are_imported_where_that_is_allowed(tmp_path, monkeypatch):
    (tmp_path / "fresh_converters.py").write_text("class One: pass")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    path = "fresh_converters:One"
    assert find_loaded(path) is None
    assert find_importable(path).__name__ == "One"
    assert find_loaded(path) is find_importable(path)
    del sys.modules["fresh_converters"]
    assert find_importable("fresh_converters:Nothing") is None
    assert find_importable("waterspout:make.<locals>.One") is None
    sys.modules.pop("fresh_converters", None)


# --- native rules, for Flask -----------------------------------------------------------------------------

NATIVE = (("/incidents/<int:id>", "incident"), ("/log/", "log", {"page": 1}), ("/log/<int:page>", "log"))


@pytest.fixture
def app(across):
    app = make_flask(("/items/<int:n>", "item"), ("/mine", "shadow"))
    names = make_names(*NATIVE, ("/native", "shadow"), ("/s/<slug:s>", "slug"), slug=Slug)
    link(app, across(names))
    return app


def test_native_rules_have_what_url_for_gives(app):
    with app.test_request_context("/x", base_url="https://board.example:8443/mounted"):
        assert url_for("incident", id=3) == "/mounted/incidents/3"
        assert url_for("incident", id=3, tab="a b", _anchor="é") == "/mounted/incidents/3?tab=a+b#%C3%A9"
        assert url_for("log", page=1) == "/mounted/log/"
        assert url_for("log", page=2) == "/mounted/log/2"
        assert url_for("slug", s="A B") == "/mounted/s/a-b"
        root = "board.example:8443/mounted"
        assert url_for("incident", id=3, _external=True) == f"https://{root}/incidents/3"
        assert url_for("incident", id=3, _external=True, _scheme="http") == f"http://{root}/incidents/3"
        assert url_for("shadow") == "/mounted/mine"


def test_outside_a_request_it_is_external_as_flask_s_own(app):
    app.config["SERVER_NAME"] = "board.example"
    with app.app_context():
        assert url_for("item", n=1) == "http://board.example/items/1"
        assert url_for("incident", id=3) == "http://board.example/incidents/3"


def test_in_a_blueprint_and_below_a_subdomain_it_is_the_same_host():
    app = make_flask(subdomain_matching=True)
    app.config["SERVER_NAME"] = "board.example"
    pages = Blueprint("pages", __name__, subdomain="api")
    pages.add_url_rule(
        "/x", "x", lambda: url_for("incident", id=3) + url_for("incident", id=3, _external=True)
    )
    app.register_blueprint(pages)
    link(app, make_names(*NATIVE))
    reply = app.test_client().get("/x", base_url="http://api.board.example")
    assert reply.text == "/incidents/3http://api.board.example/incidents/3"


def test_url_defaults_may_ask_whether_it_takes_a_value():
    """As in Flask's documentation, for a language that is in every path."""
    app = make_flask(("/<lang>/items", "items"), ("/plain", "plain"))
    link(app, make_names(("/<lang>/incidents/<int:id>", "incident"), ("/log/", "log")))

    @app.url_defaults
    def add_language(endpoint, values):
        if "lang" not in values and app.url_map.is_endpoint_expecting(endpoint, "lang"):
            values["lang"] = "en"

    with app.test_request_context():
        assert url_for("items") == "/en/items"
        assert url_for("plain") == "/plain"
        assert url_for("incident", id=3) == "/en/incidents/3"
        assert url_for("log") == "/log/"
        with pytest.raises(KeyError):
            url_for("nothing")


def test_what_can_t_be_built_is_flask_s_error_and_its_other_handlers_are_asked(app):
    with app.test_request_context():
        for endpoint, values in (("nothing", {}), ("incident", {}), ("incident", {"other": 1})):
            with pytest.raises(BuildError):
                url_for(endpoint, **values)
        app.url_build_error_handlers.append(lambda error, endpoint, values: f"/else/{endpoint}")
        assert url_for("nothing") == "/else/nothing"
        assert url_for("incident", id=3) == "/incidents/3"


def test_an_app_that_is_loaded_again_has_the_newest_names_alone(app):
    link(app, make_names(("/renamed/<int:id>", "incident")))
    with app.test_request_context():
        assert url_for("incident", id=3) == "/renamed/3"
    assert sum(isinstance(handler, NativeUrls) for handler in app.url_build_error_handlers) == 1


def test_an_app_without_native_names_is_left_alone():
    app = make_flask()
    link(app, Names())
    assert app.url_build_error_handlers == []
    assert link(lambda environ, start_response: [], make_names(*NATIVE)) is None


def test_that_native_rules_without_a_name_can_t_be_built_is_said(across):
    for rules, unnamed, said in (((), 2, "2 have"), (NATIVE, 1, "one has")):
        app, names = make_flask(), make_names(*rules)
        names.unnamed = unnamed
        link(app, across(names))
        with app.test_request_context(), pytest.raises(BuildError, match="endpoint 'nothing'") as caught:
            url_for("nothing")
        (note,) = caught.value.__notes__
        assert note == (
            f"if a native rule is meant: {said} no name to build a URL from; (path, handler, kwargs, name) "
            "gives it one"
        )


def test_nothing_is_said_of_names_where_an_endpoint_of_flask_s_lacks_its_values():
    app, names = make_flask(), make_names(*NATIVE)
    app.add_url_rule("/lacking/<int:id>", "lacking", print)
    names.unnamed = 1
    link(app, names)
    for endpoint in ("lacking", "incident"):
        with app.test_request_context(), pytest.raises(BuildError, match="forget to specify") as caught:
            url_for(endpoint)
        assert not hasattr(caught.value, "__notes__")


def test_it_is_only_names_that_are_shared():
    """The native rule's path is no route of the Flask app."""
    app = make_flask()
    link(app, make_names(*NATIVE))
    with app.test_request_context(), pytest.raises(NotFound):
        app.url_map.bind("localhost").match("/incidents/3")
