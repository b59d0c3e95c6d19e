"""Makes an application from what a command line names."""

from __future__ import annotations

import os
from inspect import isclass, isfunction
from typing import Any

from tornado.routing import Router
from tornado.web import Application as TornadoApplication

from waterspout.application import Application
from waterspout.exceptions import ConfigurationError, TargetNotFound
from waterspout.importer import check_no_tornado, resolve, split_spec, suggest_spec
from waterspout.logs.lateness import said_when_late
from waterspout.signature import takes


def check_named(target: str | None, native: str | None, wsgi: str | None) -> None:
    """Raises ConfigurationError: what to serve is said twice."""
    if target is not None and (native or wsgi):
        raise ConfigurationError(
            f"give either TARGET, here {target!r}, or --native and/or --wsgi, not both (the variables "
            "WATERSPOUT_NATIVE and WATERSPOUT_WSGI count, too)"
        )


def build_application(target: str | None, native: str | None, wsgi: str | None) -> TornadoApplication:
    """`target` names an application or a factory of one; `native` a list of rules, and `wsgi` a WSGI app.

    Raises ConfigurationError, TargetNotFound, TargetRaised.
    """
    if native is None and wsgi is None:
        if target is None:
            raise ConfigurationError(
                "nothing to serve: give TARGET, or --native and/or --wsgi; a Flask app, for example: "
                f"--wsgi {suggest_spec(os.environ.get('FLASK_APP', ''), 'shop.web:app')}"
            )
        with said_when_late(target):
            application = _load_target(target)
        if not isinstance(application, TornadoApplication):
            raise TargetNotFound(
                f"{target!r} is not a tornado.web.Application: its type is {type(application).__name__}; "
                f"{_guess_option(target, application)}"
            )
        return application
    if wsgi is not None:
        split_spec(wsgi)  # before native code is loaded; and no host name can be meant here
    rules = _load_rules(native) if native is not None else []
    return Application(native=rules, wsgi=wsgi)


def _guess_option(target: str, found: Any) -> str:
    """What was probably meant by something that is not an application."""
    if isinstance(found, (list, tuple)):
        return f"rules are served with --native {target}"
    if isinstance(found, Router):
        return (
            "give its rules to an Application (for hosts, add_handlers()), or serve it with "
            "waterspout.http.HTTPServer"
        )
    is_class = isclass(found) and issubclass(found, TornadoApplication)
    if is_class or (isfunction(found) and takes(found, 0)):
        return f"{'it is an Application class: write' if is_class else 'if it makes one, write'} {target}()"
    if not callable(found) or not takes(found, 2):
        return "name an application, or a function that makes one, with () after it"
    return f"a WSGI app is served with --wsgi {target}"


def _load_target(target: str) -> Any:
    try:
        return resolve(target, "mypackage.main:app")
    except TargetNotFound as error:
        if ":" in target:
            raise
        meant = suggest_spec(target, "mypackage.web:app")
        raise TargetNotFound(f"{error}; a WSGI app, like Flask's, is served with --wsgi {meant}") from None


def _load_rules(native: str) -> list[Any] | tuple[Any, ...]:
    with said_when_late(native):
        rules = resolve(native, "mypackage.native:routes")
    check_no_tornado(native, rules)
    if not isinstance(rules, (list, tuple)):
        raise TargetNotFound(
            f"{native!r} is not a list of Tornado rules: its type is {type(rules).__name__}"
            f"{_guess(native, rules)}"
        )
    return rules


def _guess(native: str, found: Any) -> str:
    """What was probably meant by something that is not a list of rules."""
    if callable(found) and not isclass(found):
        if takes(found, 0) and not native.endswith("()"):
            return f"; if it makes them, write {native}()"
        if takes(found, 2):
            return f"; a WSGI app is served with --wsgi {native}"
    return "; write [(path, handler), ...]"
