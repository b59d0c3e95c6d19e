"""The names of each side's URLs, for the other side: rules as values that JSON can represent. Pure.

`url_for("incident", id=3)` in a view finds a native rule, `reverse_url("shop.item", id=3)` in a handler an
endpoint of the Flask app, whether that runs in this process or in others: see `linking.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict

#: Rules in one frame: at most about this many characters, far below `FRAME_LIMIT`.
_TOLD_AT_ONCE: Final = 50_000
#: How many characters are sent of a default that JSON can't represent, or only at length.
_DEFAULT_TEXT: Final = 200
_CONVERTER: Final = re.compile(r"<[^<>]+>")


def find_arguments(pattern: str) -> list[str]:
    """The names of a Flask-style pattern's arguments, in order."""
    return [part[1:-1].rpartition(":")[2].strip() for part in _CONVERTER.findall(pattern)]


class NamedRule(TypedDict):
    """`rule`: the path as in Flask. `hosted`: it has its own host, so a path alone does not lead there.
    `answers`: a view answers there; else the rule only builds URLs, or redirects.
    """

    rule: str
    endpoint: str
    defaults: dict[str, Any] | None
    methods: list[str] | None
    hosted: bool
    answers: bool


@dataclass
class Names:
    """Rules that have names, and their custom converters by name: as classes, or as described by another
    process (see `_describe_converter`). `app`: the Flask app's `import_name`, "" if it has none. `unnamed`:
    how many native rules there are besides these.
    """

    rules: list[NamedRule] = field(default_factory=list)
    converters: dict[str, Any] = field(default_factory=dict)
    app: str = ""
    unnamed: int = 0

    def add(
        self,
        rule: str,
        endpoint: str,
        *,
        defaults: Mapping[str, Any] | None,
        methods: Iterable[str] | None,
        hosted: bool = False,
        answers: bool = True,
    ) -> None:
        told = None if methods is None else sorted(methods)
        self.rules.append(
            NamedRule(
                rule=rule,
                endpoint=endpoint,
                defaults=dict(defaults or {}) or None,
                methods=told,
                hosted=hosted,
                answers=answers,
            )
        )

    def explain(self, error: Exception) -> None:
        """Add to `error`, which says that neither side has such a name, a note about rules without a name."""
        if self.unnamed:
            has = "one has" if self.unnamed == 1 else f"{self.unnamed} have"
            error.add_note(
                f"if a native rule is meant: {has} no name to build a URL from; "
                "(path, handler, kwargs, name) gives it one"
            )

    def pack(self) -> list[bytes]:
        """Payloads of frames, each far below a frame's limit; at least one."""
        converters = {name: _describe_converter(found) for name, found in self.converters.items()}
        told: list[dict[str, Any]] = [
            {"app": self.app, "converters": converters, "unnamed": self.unnamed, "rules": []}
        ]
        room = _TOLD_AT_ONCE
        for rule in map(_tell_rule, self.rules):
            room -= len(json.dumps(rule))
            if room < 0:
                told.append({"rules": []})
                room = _TOLD_AT_ONCE
            told[-1]["rules"].append(rule)
        return [json.dumps(each).encode() for each in told]

    def unpack(self, payload: bytes) -> None:
        """Add the contents of one such payload."""
        told = json.loads(payload)
        self.rules += told["rules"]
        self.converters |= told.get("converters", {})
        self.app = told.get("app", self.app)
        self.unnamed = told.get("unnamed", self.unnamed)


@dataclass
class Link:
    """What the two sides of one application know of each other: `native`, the names of native rules; `flask`,
    those of the app's endpoints, None if it is not a Flask app or not loaded yet; `loaded`, it has been
    loaded. The `on_flask` are called once, with the first `flask`.
    """

    native: Names = field(default_factory=Names)
    flask: Names | None = None
    loaded: bool = False
    on_flask: list[Callable[[Names], object]] = field(default_factory=list)

    def learn(self, flask: Names | None) -> None:
        """The app has been loaded, perhaps not for the first time."""
        self.flask = flask
        self.loaded = True
        while flask is not None and self.on_flask:
            self.on_flask.pop(0)(flask)


def _tell_rule(rule: NamedRule) -> NamedRule:
    defaults = rule["defaults"]
    if defaults is None:
        return rule
    # `url_for` is never given a name that is not a string, and JSON has none.
    told = {name: _tell_default(value) for name, value in defaults.items() if isinstance(name, str)}
    return {**rule, "defaults": told or None}


def _tell_default(value: Any) -> Any:
    """A default only decides which rule suits the arguments of `url_for`: nobody passes anything but short
    values there, so others are sent as text.
    """
    if value is None or isinstance(value, (bool, float)) or _is_short_int(value):
        return value
    try:
        if isinstance(value, str):  # a str Enum member, too: it is equal to its value
            return str.__str__(value)[:_DEFAULT_TEXT]
        return str(value)[:_DEFAULT_TEXT]
    except Exception:  # an app's own `__str__`
        return type(value).__name__


def _is_short_int(value: Any) -> bool:
    return isinstance(value, int) and int.bit_length(value) < 64


def _describe_converter(converter: Any) -> Any:
    """`path`, where a converter is to be imported from; `base`, the Werkzeug class that builds URLs as it
    does, if there is one: then the other side need not import it.
    """
    if not isinstance(converter, type):
        return converter  # a description already
    told: dict[str, str | None] = {"path": f"{converter.__module__}:{converter.__qualname__}", "base": None}
    ours: list[Any] = [each for each in converter.__mro__ if each.__module__.partition(".")[0] == "werkzeug"]
    if ours and getattr(converter, "to_url", None) is ours[0].to_url:
        if ours[0].to_url is ours[-1].to_url:
            told["base"] = ours[-1].__name__  # BaseConverter: it quotes, whatever its arguments are
        elif getattr(converter, "__init__", None) is getattr(ours[0], "__init__", None):
            told["base"] = ours[0].__name__
    return told
