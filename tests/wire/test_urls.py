"""Each side builds the other's URLs by name, in both forms."""

import json
import signal
from urllib.parse import urlencode

import pytest

from tests.apps.linked import NAMED

LINKED = "tests.apps.linked:make()"


def url_for(server, name, path="/build", **values):
    """What a Flask view's `url_for` returns."""
    query = urlencode({"name": name, "values": json.dumps(values)})
    return server.get(f"{path}?{query}").text.strip()


def reverse_url(server, name, *args, path="/reverse", **values):
    """What a native handler's `reverse_url` returns."""
    query = urlencode({"name": name, "args": json.dumps(args), "values": json.dumps(values)})
    return server.get(f"{path}?{query}").text


@pytest.fixture
def linked(start_server, form):
    return start_server(LINKED, form=form)


def test_url_for_finds_native_rules(linked):
    assert url_for(linked, "incident", id=3) == "/incidents/3"
    assert url_for(linked, "incident", id=3, tab="log", _anchor="a b") == "/incidents/3?tab=log#a%20b"
    assert url_for(linked, "log", page=1) == "/log/"
    assert url_for(linked, "log", page=2) == "/log/2"
    assert url_for(linked, "native-slug", slug="Two Words") == "/native/two-words"
    assert url_for(linked, "incident", path="/shop/build", id=3) == "/incidents/3"
    own = url_for(linked, "shop.item", number=3, _external=True)
    assert url_for(linked, "incident", id=3, _external=True) == own.replace("/shop/items/", "/incidents/")
    assert url_for(linked, "incident", id=3, _external=True, _scheme="https").startswith("https://")


def test_flask_s_own_endpoints_come_first_in_flask_and_native_names_in_handlers(linked):
    assert url_for(linked, "both") == "/both"
    assert reverse_url(linked, "both") == "/native-both"


def test_url_for_what_nobody_has_fails_as_ever(linked):
    assert linked.get("/build?name=nothing").status == 500
    assert linked.get("/build?name=incident").status == 500
    assert linked.log_lines("werkzeug.routing.exceptions.BuildError", 5)
    assert linked.log_lines("one has no name to build a URL from")


def test_reverse_url_finds_endpoints_of_flask(linked):
    assert reverse_url(linked, "incident", 3) == "/incidents/3"
    assert reverse_url(linked, "incident", id=3, tab="log") == "/incidents/3?tab=log"
    assert reverse_url(linked, "shop.item", 7) == "/shop/items/7"
    assert reverse_url(linked, "shop.item", number=7, tab="x") == "/shop/items/7?tab=x"
    assert reverse_url(linked, "pages", page=1) == "/pages/"
    assert reverse_url(linked, "pages", 2) == "/pages/2"
    assert reverse_url(linked, "static", filename="a b/c.css") == "/static/a%20b/c.css"
    assert reverse_url(linked, "word", word="ab") == "/words/ab"
    assert reverse_url(linked, "slug", slug="Two Words") == "/slugs/two-words"


def test_reverse_url_says_what_is_wrong(linked):
    assert reverse_url(linked, "nothing") == (
        "KeyError: nothing not found in named urls, nor among the Flask app's endpoints"
    )
    assert reverse_url(linked, "shop.item").startswith("ValueError: the URL of 'shop.item' can't be built")
    assert reverse_url(linked, "shop.item", 1, 2) == "ValueError: 'shop.item' takes 1 arguments, not 2"


def test_both_sides_stand_below_the_root_path(start_server, form):
    server = start_server("tests.apps.linked:make_mounted()", form=form)
    assert url_for(server, "incident", path="/mounted/build", id=3) == "/mounted/incidents/3"
    assert reverse_url(server, "shop.item", 7, path="/mounted/reverse") == "/mounted/shop/items/7"


def test_every_pool_knows_the_names(start_server, form):
    pool = f"shop:/shop/*:{1 if form == 'process' else 0}x1"
    server = start_server(LINKED, "--wsgi-pool", pool, form=form)
    assert url_for(server, "incident", path="/shop/build", id=3) == "/incidents/3"
    assert url_for(server, "incident", id=3) == "/incidents/3"
    assert reverse_url(server, "shop.item", 7) == "/shop/items/7"


def test_thousands_of_names_reach_a_process(start_server):
    server = start_server("tests.apps.linked:make_many()", form="process")
    assert url_for(server, f"many-{NAMED - 1}").endswith(f"/{NAMED - 1}")


FLASK = """
from flask import Flask

app = Flask(__name__)


@app.get("/{path}/<int:number>")
def item(number):
    return str(number)


ENDPOINTS = {more}
for number in range(ENDPOINTS):
    app.add_url_rule(f"/more/{{number}}/{{'x' * 300}}", f"more-{{number}}", item)
"""


def test_a_reload_brings_new_paths_of_endpoints_and_thousands_of_them(start_server, tmp_path):
    app = tmp_path / "reloaded.py"
    app.write_text(FLASK.format(path="one", more=0))
    server = start_server(
        *("--native", "tests.apps.linked:plain", "--wsgi", "reloaded:app"), form="process", cwd=tmp_path
    )
    assert reverse_url(server, "item", 1) == "/one/1"
    app.write_text(FLASK.format(path="second", more=5000))
    server.signal(signal.SIGHUP)
    assert server.log_lines("have taken over", 20)
    assert reverse_url(server, "item", 1) == "/second/1"
    assert reverse_url(server, "more-4999").startswith("/more/4999/")


def test_an_app_that_is_not_flask_s_tells_no_endpoints(start_server, form):
    server = start_server(
        "--native", "tests.apps.linked:plain", "--wsgi", "tests.apps.working:app", form=form
    )
    assert reverse_url(server, "item").endswith("the WSGI app is not Flask's: its endpoints are unknown")


LARGE = """
import enum
from flask import Flask

app = Flask(__name__)

class Unit(enum.Enum):
    METRE = "m"

@app.get("/table/<int:n>", defaults={"table": list(range(200_000)), "units": {Unit.METRE: 1}})
def find(n, table, units):
    return str(table[n])
"""


def test_an_app_with_any_kind_of_default_starts(start_server, form, tmp_path):
    (tmp_path / "my_large.py").write_text(LARGE)
    server = start_server("--wsgi", "my_large:app", form=form, cwd=tmp_path)
    assert server.get("/table/7").text == "7"
