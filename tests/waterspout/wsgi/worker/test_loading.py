"""What was named becomes what a lane worker calls."""

import logging
import os
import sys
from types import ModuleType

import pytest

from tests.waterspout.wsgi import apps
from waterspout.exceptions import ConfigurationError, TargetNotFound, TargetRaised
from waterspout.wsgi.worker.loading import load_app, refuse_patched_threads


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    yield
    os.environ.pop("FLASK_DEBUG", None)


@pytest.mark.parametrize(
    "target", [apps.app, "tests.waterspout.wsgi.apps:app", "tests.waterspout.wsgi.apps:make_app()"]
)
def test_a_callable_and_its_name_are_the_same(target):
    assert load_app(target) is apps.app
    assert "FLASK_DEBUG" not in os.environ


@pytest.mark.parametrize(
    ("name", "error"),
    [("nothing", TargetNotFound), ("not_an_app", TargetNotFound), ("raise_at_once()", TargetRaised)],
)
@pytest.mark.parametrize("debug", [True, False])
def test_what_is_no_app_is_refused(name, error, debug):
    with pytest.raises(error):
        load_app(f"tests.waterspout.wsgi.apps:{name}", debug=debug)


def test_debug_puts_the_debugger_around_the_app_and_tells_its_pin(caplog):
    debugger = pytest.importorskip("werkzeug.debug")
    with caplog.at_level(logging.WARNING, "waterspout.wsgi"):
        app = load_app(apps.app, debug=True)
    assert isinstance(app, debugger.DebuggedApplication)
    assert app.app is apps.app
    assert app.pin in caplog.text


def test_debug_is_known_when_the_app_is_made(tmp_path, monkeypatch):
    """Flask reads it when the app is made, not when it runs."""
    pytest.importorskip("werkzeug")
    (tmp_path / "reading_debug.py").write_text("import os\nseen = os.environ.get('FLASK_DEBUG')\napp = print")
    monkeypatch.syspath_prepend(tmp_path)
    load_app("reading_debug:app", debug=True)
    assert sys.modules.pop("reading_debug").seen == "1"


def test_debug_without_werkzeug_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "werkzeug.debug", None)
    with pytest.raises(ConfigurationError, match="pip install werkzeug"):
        load_app(apps.app, debug=True)


class Patched:
    """Stands in for `gevent.monkey` and `eventlet.patcher`, which would patch the tests' own process."""

    @staticmethod
    def is_module_patched(name):
        return name == "threading"

    @staticmethod
    def is_monkey_patched(name):
        return name == "thread"


@pytest.mark.parametrize(("module", "name"), [("gevent.monkey", "gevent"), ("eventlet.patcher", "eventlet")])
@pytest.mark.parametrize("target", [apps.app, "tests.waterspout.wsgi.apps:raise_at_once()"])
def test_an_app_that_patches_threads_is_refused_in_so_many_words(monkeypatch, module, name, target):
    monkeypatch.setitem(sys.modules, module, Patched)
    with pytest.raises(ConfigurationError, match=f"patches Python's threads for {name}"):
        load_app(target)


@pytest.mark.parametrize("name", ["gevent.monkey", "eventlet.patcher"])
def test_one_that_another_thread_has_just_begun_to_import_has_patched_nothing(monkeypatch, name):
    """The thread that asks reads all orders of the server: it must survive that."""
    monkeypatch.setitem(sys.modules, name, ModuleType(name))
    refuse_patched_threads()
