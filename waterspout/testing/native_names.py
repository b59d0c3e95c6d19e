"""The names of native rules, for a Flask app that is tested alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from waterspout.native.methods import find_methods
from waterspout.routing.rule import PathRule, read_rules
from waterspout.wsgi.linking import link
from waterspout.wsgi.naming import Names


def know_native(flask_app: Any, rules: Iterable[Any], **converters: Any) -> None:
    """Let `url_for` of a Flask app that is tested alone find native `rules` by their names, as it does when
    it is served. `converters`: custom ones, by name.
    """
    names = Names(converters=converters)
    for rule in read_rules(rules):
        if not isinstance(rule, PathRule):
            continue
        if rule.name is None:
            names.unnamed += 1
        else:
            names.add(rule.path, rule.name, defaults=rule.defaults, methods=find_methods(rule.handler))
    link(flask_app, names)
