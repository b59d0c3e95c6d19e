"""The names of native rules, for a Flask app outside a server: tests, `flask run`, commands, Celery."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tornado.routing import Rule

from waterspout.native.methods import find_methods
from waterspout.routing.rule import PathRule, read_rules
from waterspout.wsgi.layers import find_flask
from waterspout.wsgi.linking import find_converters, link
from waterspout.wsgi.naming import Names


def know_native(flask_app: Any, rules: Iterable[Any], **converters: Any) -> None:
    """Let `url_for` of a Flask app that is not being served find native `rules` by name, as it does in a
    server. `converters`: custom ones, by name, in addition to the app's own; for a rule with any other
    converter, `url_for` raises LookupError.
    """
    flask = find_flask(flask_app)
    names = Names(converters=({} if flask is None else find_converters(flask.url_map)) | converters)
    add_names(names, rules)
    link(flask_app, names)


def add_names(names: Names, rules: Iterable[Any]) -> None:
    """Add those of `rules` that are written Flask's way, including those in nested lists."""
    for rule in read_rules(rules):
        if not isinstance(rule, PathRule):
            target = rule.target if isinstance(rule, Rule) else rule[1]
            if isinstance(target, (list, tuple)):
                add_names(names, target)
        elif rule.name is None:
            names.unnamed += 1
        else:
            names.add(rule.path, rule.name, defaults=rule.defaults, methods=find_methods(rule.handler))
