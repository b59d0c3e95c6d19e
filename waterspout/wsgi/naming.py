"""What each side's URLs are called, told to the other: rules as values that JSON can say.

`url_for("incident", id=3)` in a view finds a native rule, `reverse_url("shop.item", id=3)` in a handler an
endpoint of the Flask app, whether that runs in this process or in others. Imports neither Flask nor, unless
the app is Flask's, Werkzeug.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

from waterspout.wsgi.allow import find_flask

#: Rules in one frame: some ten KiB, far below `FRAME_LIMIT`.
_TOLD_AT_ONCE: Final = 200


class NamedRule(TypedDict):
    """`rule`: the path as in Flask. `hosted`: it is of a host of its own, so a path does not lead there."""

    rule: str
    endpoint: str
    defaults: dict[str, Any] | None
    methods: list[str] | None
    hosted: bool


@dataclass
class Names:
    """Rules that can be named, and the custom converters in them by name: as classes, or told by another
    process (see `_describe_converter`).
    """

    rules: list[NamedRule] = field(default_factory=list)
    converters: dict[str, Any] = field(default_factory=dict)

    def add(
        self,
        rule: str,
        endpoint: str,
        *,
        defaults: Mapping[str, Any] | None,
        methods: Iterable[str] | None,
        hosted: bool = False,
    ) -> None:
        told = None if methods is None else sorted(methods)
        self.rules.append(
            NamedRule(
                rule=rule,
                endpoint=endpoint,
                defaults=dict(defaults or {}) or None,
                methods=told,
                hosted=hosted,
            )
        )

    def pack(self) -> list[bytes]:
        """Payloads of frames, each far below the limit of one; one at least. A default that JSON can't say
        goes as its text.
        """
        converters = {name: _describe_converter(found) for name, found in self.converters.items()}
        pieces = [
            self.rules[start : start + _TOLD_AT_ONCE] for start in range(0, len(self.rules), _TOLD_AT_ONCE)
        ]
        first, *others = pieces or [[]]
        told = [{"converters": converters, "rules": first}, *({"rules": rules} for rules in others)]
        return [json.dumps(each, default=str).encode() for each in told]

    def unpack(self, payload: bytes) -> None:
        """Add what one of them holds."""
        told = json.loads(payload)
        self.rules += told["rules"]
        self.converters |= told.get("converters", {})


@dataclass
class Link:
    """What the two sides of one application know of each other: `native`, names of native rules; `flask`, of
    the app's endpoints, None if it is not Flask's or not loaded yet; `loaded`, it has been.
    """

    native: Names = field(default_factory=Names)
    flask: Names | None = None
    loaded: bool = False

    def learn(self, flask: Names | None) -> None:
        """The app has been loaded, perhaps again."""
        self.flask = flask
        self.loaded = True


def link(app: Any, native: Names) -> Names | None:
    """Let the Flask app in `app` find `native` names by `url_for`; what its own endpoints are called. None:
    it is not Flask's.
    """
    flask = find_flask(app)
    if flask is None:
        return None
    handlers = getattr(flask, "url_build_error_handlers", None)  # Werkzeug's own apps have a map, and no more
    if handlers is not None and native.rules:
        # Only where Flask is, which needs it, too: a process of another app stays small.
        from waterspout.routing.urls import NativeUrls

        handlers[:] = [handler for handler in handlers if not isinstance(handler, NativeUrls)]
        urls = NativeUrls(native)
        handlers.append(urls)
        urls.answer_for(flask.url_map)
    return _list_endpoints(flask.url_map)


def _list_endpoints(url_map: Any) -> Names:
    usual = type(url_map).default_converters
    names = Names(
        converters={name: own for name, own in url_map.converters.items() if usual.get(name) is not own}
    )
    for rule in url_map.iter_rules():
        if isinstance(rule.endpoint, str):
            hosted = bool(rule.host) or (rule.subdomain or "") != url_map.default_subdomain
            names.add(rule.rule, rule.endpoint, defaults=rule.defaults, methods=rule.methods, hosted=hosted)
    return names


def _describe_converter(converter: Any) -> Any:
    """Where a converter is to be imported from; `base`, Werkzeug's class that writes URLs as it does, if
    there is one: then nobody needs to.
    """
    if not isinstance(converter, type):
        return converter  # it has been told
    told: dict[str, str | None] = {"path": f"{converter.__module__}:{converter.__qualname__}", "base": None}
    ours: list[Any] = [each for each in converter.__mro__ if each.__module__.partition(".")[0] == "werkzeug"]
    if ours and getattr(converter, "to_url", None) is ours[0].to_url:
        if ours[0].to_url is ours[-1].to_url:
            told["base"] = ours[-1].__name__  # BaseConverter: it quotes, whatever its arguments are
        elif getattr(converter, "__init__", None) is getattr(ours[0], "__init__", None):
            told["base"] = ours[0].__name__
    return told
