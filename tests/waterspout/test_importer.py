"""MODULE:NAME becomes an object, or one clear line."""

import os
import re
import subprocess
import sys
from importlib import import_module
from textwrap import dedent

import pytest

from waterspout.exceptions import TargetNotFound, TargetRaised
from waterspout.importer import (
    check_no_tornado,
    describe,
    find_home,
    is_foreign,
    is_loaded,
    is_made,
    resolve,
    resolve_callable,
    suggest_spec,
)

TARGETS = {
    "web.py": """
        class Site:
            @staticmethod
            def make():
                return "made"
            @staticmethod
            def fails():
                raise LookupError("of the site")
            @staticmethod
            def needs(argument):
                return argument
        def app(environ, start_response): return []
        def factory(): return app
        def needs(argument): return app
        def fails(): raise LookupError("no such\\n  table")
        def leaves(): raise SystemExit("bye")
        number = 7
        from builtins import print
        class Wrapped:
            def __call__(self, environ, start_response): return []
        wrapped = Wrapped()
        class Asgi:
            async def __call__(self, scope, receive, send): pass
        def injected(): return app
        injected.__signature__ = __import__("inspect").signature(needs)
        def make_app(config, debug): return app
        def create_app(config=None, debug=False): return app
        build_app = make_app
        async def asgi(scope, receive, send): pass
        class Typed:
            # As a function of Python 3.14 whose annotations are names for type checkers alone.
            @property
            def __signature__(self):
                raise NameError("name 'Config' is not defined")
            def __call__(self): return app
        typed = Typed()
    """,
    "importing.py": "import threading",
    "parsing.py": "import json\njson.loads('nonsense')",
    "making.py": """
        from flask import Flask
        def create_app():
            app = Flask(__name__)
            app.add_url_rule("/", "home", print)
            return app
        def make_app(): return None
        App = "near"
    """,
    "spelled.py": "def create_app(environ, start_response): return []",
    "wanting.py": "def create_app(config): pass\nmake_app = 7\nApp = 'near'",
    "tornados.py": "from tornado.web import Application\napp = Application()\ndef make(): return app",
    "broken.py": "1 / 0",
    "silent.py": "raise ValueError",
    "caused.py": "import json\ntry:\n    json.loads('')\nexcept ValueError as e:\n"
    "    raise RuntimeError('no settings') from e",
    "chained.py": "def deep():\n    raise LookupError('a\\n' + 'x' * 9999)\ndef make():\n"
    "    try:\n        deep()\n    except LookupError:\n        raise KeyError('b')\n"
    "def outer():\n    try:\n        make()\n    except KeyError as e:\n        raise OSError('c')\n",
    "silenced.py": "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('own') from None",
    "leaving.py": "import sys; sys.exit('not today')",
    "unparsable.py": "x = 1\ndef broken(:\n",
    "needy.py": "import no_such_dependency",
    "reaching.py": "from json import no_such_name",
    # PEP 562, as lazy_loader of scientific-python writes it.
    "lazy.py": """
        import importlib, os
        def __getattr__(name):
            if name in ("app", "needy"):
                return importlib.import_module("needy")
            if name == "reaching":
                return os.no_such_name
            if name == "leaves":
                raise SystemExit("bye")
            if name == "create_app":
                raise LookupError("of the loader")
            if name == "web":
                return importlib.import_module("web")
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    """,
    # As Django writes its wsgi.py, beside a factory that needs no suggestion then.
    "site_wsgi.py": "class App:\n    def __call__(self, environ, start_response): return []\n"
    "application = App()\ndef create_app(): return application",
    "package/__init__.py": "",
    "package/inner.py": "app = print",
    "package/needy.py": "import package.missing",
    "package/choosy.py": "from package import missing",
    "shouting.py": "from flask import Flask, current_app\nAPP = Flask(__name__)",
    "my-shop.py": "app = print\ndef make(config): return app\ndef fails(): raise LookupError",
    "2048.py": "app = print",
    "class.py": "1 / 0",
    "my-shops/web.py": "app = print\n1 / 0",
    "boxed/__init__.py": "from boxed import app, box\ndef application(environ, start_response): return []",
    "boxed/app.py": "class Application: pass",
    "boxed/box.py": "def create_app(): pass",
    "bare/__init__.py": "from bare import app",
    "bare/app.py": "",
}


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Modules of these tests, forgotten afterwards."""
    for name, source in TARGETS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


pytestmark = pytest.mark.usefixtures("modules")


@pytest.mark.parametrize(
    ("spec", "found"),
    [
        ("web:number", 7),
        ("web:Site.make()", "made"),
        ("package.inner:app", print),
        ("my-shop:app", print),
        ("2048:app", print),
    ],
)
def test_a_name_is_found(spec, found):
    assert resolve(spec) == found


def test_an_app_that_something_has_imported_is_here():
    assert not is_loaded("web:app")
    resolve("web:number")
    assert is_loaded("web:app")
    assert is_loaded("web:Site.make")
    assert not is_loaded("web:nothing")
    assert not is_loaded("web:factory()")  # importing a factory makes nothing


def test_a_factory_whose_annotations_can_t_be_evaluated_is_called():
    assert callable(resolve("web:typed()"))


def test_with_brackets_a_factory_is_called():
    assert resolve("web:factory()") is resolve("web:app")
    assert resolve("web:factory") is not resolve("web:app")


@pytest.mark.parametrize(
    "spec",
    [
        "",
        ":",
        "web",
        "web:",
        ":app",
        "web:app:more",
        "web.app",
        "web/py:app",
        "web:app()()",
        "web:app( )",
        " web:app",
        "web:app\n",
        "my shop:app",
        "my-:-app",
        "web:1app",
        ".web:app",
        "web:app[0]",
    ],
)
def test_what_is_no_such_spec_is_refused_with_an_example(spec):
    with pytest.raises(TargetNotFound, match="MODULE:NAME or MODULE:FACTORY"):
        resolve(spec)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("no_such_module:app", "there is no module 'no_such_module'"),
        ("package.nothing:app", "there is no module 'package.nothing'"),
        ("shouting:app", "'shouting' has no 'app'; did you mean shouting:APP?"),
        ("my-no-shop:app", "there is no module 'my-no-shop'"),
        ("my-shop.py:app", "; did you mean 'my-shop:app'?"),
        (
            "my-shop:make()",
            '`from importlib import import_module` and `app = import_module("my-shop").make(...)`',
        ),
        ("nothing.at.all:app", "there is no module 'nothing'"),
        ("web.inner:app", "there is no module 'web.inner'"),
        ("web:nothing", "'web' has no 'nothing'"),
        ("web:Site.nothing", "'web' has no 'Site.nothing'"),
        ("lazy:application", "'lazy' has no 'application'"),
        ("lazy:web.nothing", "'lazy' has no 'web.nothing'"),
        (
            "web:needs()",
            "a factory is called without arguments, and this one needs some: write a module with the "
            "lines `from web import needs` and `app = needs(...)`",
        ),
        ("web:Site.needs()", "`from web import Site` and `app = Site.needs(...)`"),
        (
            "wanting:app",
            "; create_app() makes one, but needs arguments: write a module with the lines `from want",
        ),
        ("web:number()", "this is not callable: leave out the ()"),
        ("web:wrapped()", "this is no factory, its type is Wrapped: leave out the ()"),
    ],
)
def test_what_does_not_resolve_is_named(spec, text):
    with pytest.raises(TargetNotFound) as caught:
        resolve(spec)
    assert text in str(caught.value)
    assert repr(spec) in str(caught.value)
    assert "can't be read" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "package"])
def test_a_folder_that_may_not_be_read_is_named_where_its_module_is_not_found(modules, name, monkeypatch):
    """Python looks into no such folder, and says only that there is no module. (Tests may run as root.)"""
    monkeypatch.chdir(modules)
    folder = os.path.join(find_home(), name).rstrip("/")
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder)
    with pytest.raises(TargetNotFound, match=re.escape(f" ({folder} can't be read: Permission denied)")):
        resolve("package.nothing:app")


@pytest.mark.parametrize("target", ["package.needy:app", "package.choosy:app"])
def test_so_is_that_of_a_package_that_the_app_needs(modules, target, monkeypatch):
    """As pip leaves it behind where the umask is 077; without its `__init__.py` it looks like a namespace."""
    folder = str(modules / "package")
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder)
    with pytest.raises(TargetRaised, match=re.escape(f"; {folder} can't be read: Permission denied; ")):
        resolve(target)


def test_a_module_that_the_app_s_module_imports_is_never_meant():
    with pytest.raises(TargetNotFound, match=r"'importing' has no 'nothing'$"):
        resolve("importing:nothing")


def test_that_the_directory_is_gone_is_said(monkeypatch, tmp_path):
    """A deployment has removed the release that the server was started in."""
    release = tmp_path / "release"
    release.mkdir()
    monkeypatch.chdir(release)
    monkeypatch.setenv("PWD", str(release))
    release.rmdir()
    with pytest.raises(TargetNotFound, match=r"in \S+/release \(which does not exist\), nor"):
        resolve("no_such_module:app")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("broken:app", "ZeroDivisionError: division by zero"),
        ("silent:app", "ValueError: no message"),
        ("leaving:app", "SystemExit: not today"),
        ("needy:app", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("package.needy:app", "ModuleNotFoundError: No module named 'package.missing'"),
        ("reaching:app", "ImportError: cannot import name"),
        ("lazy:app", "ModuleNotFoundError: No module named 'no_such_dependency'"),
        ("lazy:reaching", "AttributeError: module 'os' has no attribute 'no_such_name'"),
        ("lazy:leaves", "SystemExit: bye"),
        ("web:fails()", "LookupError: no such table"),
        ("web:leaves()", "SystemExit: bye"),
    ],
)
def test_what_raises_is_quoted_in_one_line_with_its_place(spec, text):
    with pytest.raises(TargetRaised) as caught:
        resolve(spec)
    message = str(caught.value)
    assert f"{spec!r} raised {text}" in message
    assert message.count("\n") == 0
    assert ".py:" in message
    assert caught.value.__cause__ is not None


def test_the_place_is_where_it_was_raised(modules):
    with pytest.raises(TargetRaised) as caught:
        resolve("web:fails()")
    assert f"({modules / 'web.py'}:15 in fails)" in str(caught.value)


def test_a_syntax_error_is_placed_in_the_file_that_has_it(modules):
    with pytest.raises(TargetRaised) as caught:
        resolve("unparsable:app")
    assert f"({modules / 'unparsable.py'}:2)" in str(caught.value)


def test_the_user_s_own_frame_is_shown_before_a_library_s(modules):
    with pytest.raises(TargetRaised) as caught:
        resolve("parsing:app")
    text = str(caught.value)
    assert "JSONDecodeError" in text
    assert "decoder.py:" in text
    assert f"{modules / 'parsing.py'}:2 in <module>" in text


@pytest.mark.parametrize(
    "spec", ["web:app", "web:Wrapped()", "web:print", "web:injected()", "web:build_app", "spelled:create_app"]
)
def test_a_wsgi_app_takes_environ_and_start_response(spec):
    assert resolve_callable(spec) is not None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "is not a WSGI callable: its type is int"),
        ("factory", "does not take (environ, start_response): if it is a factory, write web:factory()"),
        (
            "needs",
            "does not take (environ, start_response): if it is a factory, it needs arguments: write a module "
            "with the lines `from web import needs` and `app = needs(...)`",
        ),
        (
            "make_app",
            "has the name of a factory: if it is a factory, it needs arguments: write a module "
            "with the lines `from web import make_app` and `app = make_app(...)`",
        ),
        ("create_app", "has the name of a factory: if it is a factory, write web:create_app()"),
        ("Asgi()", "is an async (ASGI) app"),
        ("asgi", "is an async (ASGI) app"),
    ],
)
def test_what_is_no_wsgi_app_is_told_apart(name, text):
    with pytest.raises(TargetNotFound) as caught:
        resolve_callable(f"web:{name}")
    assert text in str(caught.value)


def test_a_file_name_is_taken_for_what_was_meant():
    with pytest.raises(TargetNotFound, match="did you mean 'web:app'"):
        resolve("web.py:app")


def message_of(spec):
    with pytest.raises(TargetRaised) as caught:
        resolve(spec)
    return str(caught.value)


def test_what_led_to_it_is_named():
    text = message_of("caused:app")
    assert "raised RuntimeError: no settings (" in text
    assert "; because of JSONDecodeError: Expecting value: line 1 column 1 (char 0); " in text


def test_the_innermost_reason_is_named_in_one_line_that_ends():
    text = message_of("chained:outer()")
    assert "raised OSError: c (" in text
    assert "; because of LookupError: a xxx" in text
    assert len(text) < 2000
    assert "\n" not in text


def test_who_imports_what_can_t_be_compiled_is_named_too(modules):
    (modules / "wrong.py").write_text("def f(:")
    (modules / "imports_wrong.py").write_text("import wrong")
    text = message_of("imports_wrong:app")
    assert "wrong.py:1, via " in text
    assert "imports_wrong.py:1 in <module>); " in text
    assert text.endswith(" shows the whole traceback")


def test_what_the_app_hides_or_did_not_have_is_no_reason():
    assert "because of" not in message_of("silenced:app")
    assert "because of" not in message_of("broken:app")


def test_reasons_in_a_circle_come_to_an_end():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert "because of ValueError: two" in describe("web:app", one)


def test_an_exception_that_can_t_say_what_it_is_hides_no_other():
    class Mute(Exception):
        def __str__(self):
            raise ValueError("no words")

    error = RuntimeError("no database")
    error.__cause__ = Mute()
    assert "raised RuntimeError: no database" in describe("web:app", error)
    assert "because of Mute: its message can't be read" in describe("web:app", error)


def test_to_ask_whether_an_app_is_here_does_not_import_it(modules):
    (modules / "lazy.py").write_text("def __getattr__(name): raise AssertionError(name)")
    import_module("lazy")
    assert not is_loaded("lazy:app")


def test_a_package_that_was_named_is_nobody_else_s_though_it_is_installed(modules, monkeypatch):
    home = modules / "site-packages"
    home.mkdir()
    (home / "installed_shop.py").write_text("app = print")
    (home / "installed_other.py").write_text("app = print")
    monkeypatch.syspath_prepend(home)
    import_module("installed_other")
    resolve("installed_shop:app")
    assert not is_foreign(str(home / "installed_shop.py"))
    assert is_foreign(str(home / "installed_other.py"))


@pytest.mark.parametrize(
    "spec",
    [
        *("caused:app", "chained:outer()", "package.needy:app", "web:Site.fails()", "lazy:app"),
        *("my-shop:fails()", "my-shops.web:app", "class:app"),
    ],
)
def test_a_command_that_works_shows_the_whole_traceback(modules, spec):
    text = message_of(spec)
    assert "--debug" not in text
    command = text[text.index(sys.executable) :]
    command = command.removesuffix(" shows the whole traceback")
    done = subprocess.run(command, shell=True, cwd=modules, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert text.partition(" raised ")[2].partition(":")[0] in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ('web:make("prod")', '`from web import make` and `app = make("prod")`'),
        ("web:app(1)", "`from web import app` and `app = app(1)`"),
        ("web:__import__('os')", "`from web import __import__` and `app = __import__('os')`"),
    ],
)
def test_a_factory_is_given_its_arguments_in_a_module(spec, line):
    with pytest.raises(
        TargetNotFound, match="arguments can't be given here: write a module with the lines"
    ) as caught:
        resolve(spec)
    assert f"with the lines {line}, or a factory without arguments" in str(caught.value)


def test_the_example_is_one_of_what_is_asked_for():
    with pytest.raises(TargetNotFound, match=r"like mypackage\.native:routes$"):
        resolve("1shop", "mypackage.native:routes")


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("shop", "shop:routes"),
        ("shop.native", "shop.native:routes"),
        ("shop.app", "shop:app"),
        ("shop/native.py", "shop.native:routes"),
        ("app.py", "app:routes"),
        ("my-shop.py", "my-shop:routes"),
        ("./shop.py", "mypackage.native:routes"),
        ("", "mypackage.native:routes"),
    ],
)
def test_a_module_or_a_file_is_taken_for_what_was_meant(text, spec):
    assert suggest_spec(text, "mypackage.native:routes") == spec
    with pytest.raises(TargetNotFound, match=f"or MODULE:FACTORY.., like {re.escape(spec)}$"):
        resolve(text, "mypackage.native:routes")


@pytest.mark.parametrize("name", ["app", "application"])
def test_where_there_is_no_app_a_factory_is_meant(name):
    with pytest.raises(TargetNotFound, match=r"; did you mean making:create_app\(\)\?$"):
        resolve(f"making:{name}")
    with pytest.raises(TargetNotFound, match="has no 'create'; did you mean 'create_app'"):
        resolve("making:create")
    with pytest.raises(TargetNotFound) as caught:
        resolve(f"wanting:{name}")
    assert "()?" not in str(caught.value)


def test_an_app_that_has_the_other_usual_name_is_meant():
    with pytest.raises(TargetNotFound, match=r"has no 'app'; did you mean site_wsgi:application\?$"):
        resolve("site_wsgi:app")
    with pytest.raises(TargetNotFound, match=r"has no 'application'; did you mean web:app\?$"):
        resolve("web:application")
    with pytest.raises(TargetNotFound, match="has no 'ap'; did you mean 'app'"):
        resolve("web:ap")


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("boxed:app", "; did you mean boxed:application?"),
        ("boxed:box", "; did you mean boxed.box:create_app()?"),
        ("package:inner", "; did you mean package.inner:app?"),
        ("bare:app", ""),
    ],
)
def test_a_module_that_has_the_name_of_an_app_is_told_apart(spec, said):
    import_module("package.inner")
    with pytest.raises(TargetNotFound) as caught:
        resolve_callable(spec)
    assert str(caught.value) == f"{spec!r} is not a WSGI callable: its type is module{said}"


@pytest.mark.parametrize("spec", ["tornados:app", "tornados:make()"])
def test_an_application_of_tornado_s_is_served_whole(spec):
    with pytest.raises(TargetNotFound) as caught:
        resolve_callable(spec)
    assert str(caught.value) == f"{spec!r} is a tornado.web.Application: use waterspout serve {spec}"
    check_no_tornado("web:routes", [])


def test_a_factory_that_something_has_called_has_made_its_app_here():
    spec = "making:create_app()"
    assert not is_made(spec)
    making = import_module("making")
    keys = making.Flask("making")  # as the documents have it for FlaskSessions
    other = making.Flask("other")
    other.add_url_rule("/", "home", print)
    assert not is_made(spec)
    app = making.create_app()
    assert is_made(spec)
    assert not is_made("making:app")
    del app, keys
