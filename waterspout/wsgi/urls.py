"""URLs by name, built from the rules that the other side has sent."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import werkzeug.routing
from werkzeug.routing import BaseConverter, BuildError, Map, Rule

from waterspout.exceptions import WaterspoutError
from waterspout.importer import resolve
from waterspout.wsgi.naming import Link, NamedRule, Names, find_arguments

#: What an anchor may contain unquoted (the fragment of RFC 3986 section 3.5, and % as it was written).
_IN_ANCHOR: Final = "%!#$&'()*+,/:;=?@"

#: The name of a converter in a path.
_CONVERTER: Final = re.compile(r"<\s*([A-Za-z_]\w*)\s*[(:]")

FindConverter = Callable[[str], Any]


def find_loaded(path: str) -> Any:
    """What `module:name` names, if that module is already imported; else None."""
    module, _, name = path.partition(":")
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def find_importable(path: str) -> Any:
    """What `module:name` names, imported if need be; else None."""
    try:
        return find_loaded(path) or resolve(path)
    except WaterspoutError:
        return None


class ToldUrls:
    """Builds URLs from `names`. `find_converter` returns a converter's class by its import path, or None."""

    def __init__(self, names: Names, find_converter: FindConverter = find_loaded) -> None:
        self.names = names
        self._find_converter = find_converter
        self._rules: dict[str, list[NamedRule]] = defaultdict(list)
        for rule in names.rules:
            self._rules[rule["endpoint"]].append(rule)
        self._maps: dict[str, Map] = {}

    def find_map(self, endpoint: str) -> Map | None:
        """The rules of one endpoint; None: there is no such endpoint. Built on first use, one by one, so that
        unused rules cost nothing. Raises ValueError: one of their converters is not available here.
        """
        if endpoint not in self._rules:
            return None
        if endpoint not in self._maps:
            told = self._rules[endpoint]
            converters = self._find_converters(told)
            rules = [
                Rule(rule["rule"], endpoint=endpoint, defaults=rule["defaults"], methods=rule["methods"])
                for rule in told
            ]
            self._maps[endpoint] = Map(rules, converters=converters, merge_slashes=False)
        return self._maps[endpoint]

    def _find_converters(self, rules: Sequence[NamedRule]) -> dict[str, type[BaseConverter]]:
        used = {"default", *(name for rule in rules for name in _CONVERTER.findall(rule["rule"]))}
        told = self.names.converters
        return {name: self._read_converter(name, told[name]) for name in used.intersection(told)}

    def _read_converter(self, name: str, told: Any) -> type[BaseConverter]:
        if isinstance(told, type):
            return told
        found = self._find_converter(told["path"])
        if isinstance(found, type):
            return found
        if told["base"] is None:
            raise ValueError(
                f"the converter {name!r} ({told['path']}) has its own to_url() and is not available here: "
                f"import {told['path'].partition(':')[0]} where the URL is built"
            )
        base = getattr(werkzeug.routing, told["base"])
        return _Plain if base is BaseConverter else base

    def build(self, endpoint: str, args: Sequence[Any], values: Mapping[str, Any]) -> str | None:
        """The path of an endpoint; None: no such endpoint. `args` are in the order of the path; values that
        have no place in it become the query, as in Flask. Raises ValueError: it can't be built from these.
        """
        url_map = self.find_map(endpoint)
        if url_map is None:
            return None
        rules = self._rules[endpoint]
        if all(rule["hosted"] for rule in rules):
            raise ValueError(f"{endpoint!r} has its own host: a path alone does not lead there")
        named = [find_arguments(rule["rule"]) for rule in rules]
        places = next((names for names in named if len(names) == len(args)), named[0])
        if len(args) > len(places):
            raise ValueError(f"{endpoint!r} takes {len(places)} arguments, not {len(args)}")
        try:
            return url_map.bind("localhost").build(
                endpoint, {**dict(zip(places, args, strict=False)), **values}
            )
        except BuildError as error:
            raise ValueError(f"the URL of {endpoint!r} can't be built: {error}") from error


def _has_endpoint(url_map: Map, endpoint: str) -> bool:
    """Whether a Flask app has it: then only the values are wrong."""
    try:
        url_map.iter_rules(endpoint)
    except KeyError:
        return False
    return True


class Endpoints:
    """The Flask app's endpoints, as far as they are known from `link`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._urls: ToldUrls | None = None

    def build(self, endpoint: str, args: Sequence[Any], values: Mapping[str, Any]) -> str:
        """As `ToldUrls.build`, for what is loaded now. Also raises KeyError: there is no such endpoint, or
        the app has not been loaded yet.
        """
        text, link = f"{endpoint} not found in named urls", self._link
        if not link.loaded:
            raise KeyError(
                f"{text}; the WSGI app has not been loaded yet: `await application.start()` loads it"
            )
        if link.flask is None:
            raise KeyError(f"{text}; and the WSGI app is not Flask's: its endpoints are unknown")
        if self._urls is None or self._urls.names is not link.flask:
            self._urls = ToldUrls(link.flask)  # first use, or reloaded since
        found = self._urls.build(endpoint, args, values)
        if found is None:
            raise KeyError(f"{text}, nor among the Flask app's endpoints")
        return found


class _Plain(BaseConverter):
    """Quotes, whatever its arguments are."""

    def __init__(self, map: Map, *args: Any, **kwargs: Any) -> None:
        super().__init__(map)


class NativeUrls:
    """One of a Flask app's `url_build_error_handlers`: looks among native rules for what `url_for` does not
    find among the app's endpoints. Same host, scheme, prefix, query and anchor as `url_for` would give.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._urls = ToldUrls(names, find_importable)

    def answer_for(self, known: Map) -> None:
        """Let `known` also report what native rules expect: Flask's documented `url_defaults` ask it."""
        ask = type(known).is_endpoint_expecting

        def is_endpoint_expecting(endpoint: str, *arguments: str) -> bool:
            try:
                return ask(known, endpoint, *arguments)
            except KeyError:
                native = self._urls.find_map(endpoint)
                if native is None:
                    raise
                return native.is_endpoint_expecting(endpoint, *arguments)

        known.is_endpoint_expecting = is_endpoint_expecting  # type: ignore[method-assign]  # this app's map alone

    def __call__(self, error: BuildError, endpoint: str, values: dict[str, Any]) -> str | None:
        """None: there is no such native rule, either. Raises BuildError: it can't be built from `values`."""
        url_map, known = self._urls.find_map(endpoint), error.adapter
        if url_map is None and (known is None or not _has_endpoint(known.map, endpoint)):
            self._names.explain(error)
        if url_map is None or known is None:
            return None
        given = dict(values)
        anchor, method = given.pop("_anchor", None), given.pop("_method", None)
        scheme, external = given.pop("_scheme", None), given.pop("_external", None)
        adapter = url_map.bind(
            known.get_host(None), script_name=known.script_name, url_scheme=known.url_scheme
        )
        url = adapter.build(endpoint, given, method=method, url_scheme=scheme, force_external=bool(external))
        return url if anchor is None else f"{url}#{quote(str(anchor), safe=_IN_ANCHOR)}"
