"""`waterspout routes`: what it prints, and with which exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from waterspout.cli import main

ROOT = Path(__file__).resolve().parents[3]
SHOP = """
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.profiler import ProfilerMiddleware

print("a word of the app's")
app = Flask(__name__, static_folder=None)
mounted = DispatcherMiddleware(app, {"/api": app, "/plain": lambda environ, start_response: []})
profiled = ProfilerMiddleware(app, stream=None)


@app.get("/items/<id>")
def item(id):
    return id


@app.route("/orders", methods=["GET", "POST"])
def orders():
    return "orders"


@app.get("/plain")
def plain():
    return "plain"
"""
NATIVE = """
import waterspout
from tornado.web import FallbackHandler, RequestHandler
from waterspout.native import RequestHandler as Lean
import shop


@waterspout.replaces("item")
class Item(RequestHandler):
    def get(self, id):
        self.write({})


class Orders(Lean):
    def get(self):
        self.write({})


class Never(Orders):
    pass


@waterspout.public
class Public(Orders):
    pass


meant = [("/items/<int:id>", Item)]
planted = [("/items/<int:id>", Item), ("/orders", Orders), ("/plain", Orders), (r"/plain", Never)]
below = [("/api/orders", Orders)]
half_open = [("/a", Orders), ("/b", Public)]


def make_guarded():
    return waterspout.Application(native=half_open, wsgi="shop:app", login_loader=lambda handler: None)


raising = planted


def make_several():
    fallbacks = [{"fallback": waterspout.Container(name)} for name in ("other:app", "shop:mounted")]
    rules = [(f"/{number}/.*", FallbackHandler, each) for number, each in enumerate(fallbacks)]
    return waterspout.Application([*meant, *rules], wsgi="shop:app")


def make_raising():
    raise RuntimeError("out of order")
"""


@pytest.fixture
def run(tmp_path, monkeypatch, keep_logging):
    """`waterspout routes` with the words given, in a folder with a shop."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "native.py").write_text(NATIVE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield lambda *words: CliRunner().invoke(main, ["routes", *words])
    for name in ("shop", "native"):
        sys.modules.pop(name, None)


def test_the_table_has_both_sides_and_below_it_what_is_wrong(run):
    result = run("--native", "native:planted", "--wsgi", "shop:app")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["PATH", "METHODS", "OWNER", "TARGET", "ACCESS", "SOURCE"]
    assert lines[1].split()[:4] == ["/items/<int:id>", "GET", "native", "native.Item"]
    assert "shop.py:12" in next(line for line in lines if line.startswith("/items/<id>"))
    assert "partly-shadowed (declared): GET /items/<id>" in result.stdout
    assert "a word of the app's" not in result.stdout


def test_check_says_what_is_to_be_settled_and_fails(run):
    result = run("--check", "--native", "native:planted", "--wsgi", "shop:app")
    assert result.exit_code == 1
    found = [line.partition(":")[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert found == ["partly-shadowed", "shadowed", "unreachable"]
    assert '@waterspout.replaces("orders") above Orders' in result.stdout
    assert "native.Never" in result.stdout


def test_check_knows_apps_that_are_mounted(run):
    result = run("--check", "--native", "native:below", "--wsgi", "shop:mounted")
    assert result.exit_code == 1
    assert "shadowed: GET /api/orders of Flask's 'orders'" in result.stdout
    assert "not checked: a WSGI app that is not a Flask app is mounted at /plain" in result.stdout


def test_check_looks_into_middleware(run):
    result = run("--check", "--native", "native:planted", "--wsgi", "shop:profiled")
    assert result.exit_code == 1
    assert "shadowed: GET /plain of Flask's 'plain'" in result.stdout


def test_apps_that_other_rules_lead_to_are_named(run):
    lines = run("native:make_several()").stdout.splitlines()
    assert lines[-2:] == [
        "not listed: the WSGI app other:app, which the rule '/0/.*' leads to",
        "not listed: the WSGI app shop:mounted, which the rule '/1/.*' leads to",
    ]


def test_check_is_silent_where_all_is_meant(run):
    result = run("--check", "--native", "native:meant", "--wsgi", "shop:app")
    assert (result.exit_code, result.stdout) == (0, "")


@pytest.mark.parametrize(
    "words", [("--native", "native:half_open", "--wsgi", "shop:app"), ("native:make_guarded()",)]
)
def test_check_fails_on_a_handler_of_which_access_is_not_declared(run, words):
    """Whether it is found in the list, or the application itself refuses to be made."""
    result = run("--check", *words)
    assert result.exit_code == 1
    assert "native.Orders" in result.output
    assert "@waterspout.public" in result.output


def test_an_application_that_refuses_to_be_can_t_be_listed(run):
    assert run("native:make_guarded()").exit_code == 3


def test_json_is_for_programs(run):
    result = run("--json", "--check", "--native", "native:planted", "--wsgi", "shop:app")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert sorted(told) == ["findings", "notes", "routes", "version"]
    assert told["version"] == 1
    assert told["routes"][0].pop("source").startswith("native.py:")
    assert told["routes"][0] == {
        "path": "/items/<int:id>",
        "methods": ["GET"],
        "owner": "native",
        "target": "native.Item",
        "name": None,
        "access": "not declared",
    }
    finding = told["findings"][1]
    assert sorted(finding) == sorted(
        ["kind", "path", "methods", "target", "source", "by", "samples", "declared", "text", "advice"]
    )
    assert (finding["kind"], finding["methods"], finding["declared"]) == ("partly-shadowed", ["GET"], False)


def test_markdown_has_no_lines_that_change_with_every_edit(run):
    result = run("--markdown", "--native", "native:meant", "--wsgi", "shop:app")
    assert "| `/items/<int:id>` | GET | native | `native.Item` | not declared |" in result.stdout
    assert ".py" not in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ((), 2, "nothing to serve: give TARGET"),
        (("native:nothing",), 2, "'native' has no 'nothing'"),
        (("native:meant", "--wsgi", "shop:app"), 2, "give either TARGET"),
        (("shop:app",), 2, "is not a tornado.web.Application"),
        (("--wsgi", "shop:nothing"), 2, "'shop' has no 'nothing'"),
        (("--native", "shop:app"), 2, "is not a list of Tornado rules"),
        (("native:make_raising()",), 3, "RuntimeError: out of order"),
    ],
)
def test_what_can_t_be_loaded_is_the_same_line_and_exit_code_as_of_serve(run, words, code, text):
    for check in ((), ("--check",)):
        result = run(*check, *words)
        assert (result.exit_code, result.stdout) == (code, "")
        assert text in result.stderr


def test_another_wsgi_app_is_one_line(run):
    result = run("--check", "--native", "native:meant", "--wsgi", "tests.waterspout.wsgi.apps:app")
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    assert line.startswith("tests.waterspout.wsgi.apps:app is not a Flask app")


def test_variables_name_what_is_served(run, monkeypatch):
    monkeypatch.setenv("WATERSPOUT_NATIVE", "native:meant")
    monkeypatch.setenv("WATERSPOUT_WSGI", "shop:app")
    assert "native.Item" in run().stdout


def test_the_board_has_nothing_to_settle_and_tells_no_password(tmp_path):
    """As a user runs it, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "waterspout", "routes", "--check", "app.application:make_app()"],
        cwd=ROOT,
        env=os.environ | {"BOARD_FOLDER": str(tmp_path), "DATABASE_URL": ""},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # A busy machine may need so long that it says where it is.
    said = [line for line in result.stderr.splitlines() if " has been loading for " not in line]
    assert (result.returncode, result.stdout, said) == (0, "", [])
