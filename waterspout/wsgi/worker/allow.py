"""The Allow field and the 405 of a WSGI app, at paths where native handlers own other methods. Leaf.

The client sees one resource: `Allow` names the methods of both sides (RFC 9110 section 10.2.1), and a method
that neither side has is a 405, not the app's 404.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from waterspout.wsgi.layers import find_flask
from waterspout.wsgi.worker.fields import FILE_OF_PROXY

#: Fields of a reply that describe its body, or point elsewhere: they are removed with the body. Fields about
#: policy, cross-origin access and cookies stay.
_OF_THE_BODY: Final = frozenset(
    {
        *("accept-ranges", "allow", "content-digest", "content-disposition", "content-encoding"),
        *("content-language", "content-length", "content-location", "content-md5", "content-range"),
        *("content-type", "digest", "etag", "last-modified", "location", "refresh", "repr-digest", "trailer"),
        "transfer-encoding",
        *FILE_OF_PROXY,
    }
)
_TWINS: Final = frozenset({"GET", "HEAD"})
_NOT_ALLOWED: Final = "405 METHOD NOT ALLOWED"


class AllowMerger:
    """One call of `app`, with the methods of native handlers, `allow` ("GET, HEAD"), merged into its reply.

    When the method of the call is among them, a handler has declined it: the app's 404 stands.
    """

    def __init__(self, app: Callable[..., Any], allow: str) -> None:
        self._app = app
        self._native = set(allow.split(", "))

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answers: list[bytes] = []
        started = False
        method = environ["REQUEST_METHOD"]
        declined = method != "OPTIONS" and method in self._native
        if declined:
            self._native -= _TWINS if method in _TWINS else {method}

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            nonlocal started
            started = True
            answers.clear()
            options = method == "OPTIONS"
            if status.startswith("404") and not declined and not self._has_rule(environ):
                answers.append(b"" if options else b"405 Method Not Allowed\n")
                status = "200 OK" if options else _NOT_ALLOWED
                headers = [
                    *(field for field in headers if field[0].lower() not in _OF_THE_BODY),
                    ("Content-Type", "text/plain; charset=utf-8"),
                    ("Content-Length", str(len(answers[0]))),
                    self._merge([], ()),
                ]
            elif status.startswith("405") or (options and self._is_automatic(environ, headers)):
                methods = () if options else _find_methods(environ)
                merged = self._merge(headers, methods)
                headers = [*(field for field in headers if field[0].lower() != "allow"), merged]
            write = start_response(status, headers, exc_info) if exc_info else start_response(status, headers)
            return (lambda _chunk: None) if answers else write

        iterable: Iterable[bytes] = self._app(environ, start)
        return _Replaced(iterable, answers) if answers or not started else iterable

    def _merge(self, headers: list[tuple[str, str]], methods: Iterable[str]) -> tuple[str, str]:
        said = {
            name.strip() for field in headers if field[0].lower() == "allow" for name in field[1].split(",")
        }
        return "Allow", ", ".join(sorted((said.union(methods) | self._native | {"OPTIONS"}) - {""}))

    def _has_rule(self, environ: dict[str, Any]) -> bool:
        """Whether one of the app's own views sent the 404. True, too, if unknown: the app isn't Flask's."""
        return self._find_rule(environ) is not None

    def _is_automatic(self, environ: dict[str, Any], headers: list[tuple[str, str]]) -> bool:
        """Whether the reply to OPTIONS is automatic, not written by a view."""
        rule = self._find_rule(environ)
        automatic = getattr(rule, "provide_automatic_options", None)
        return any(field[0].lower() == "allow" for field in headers) if automatic is None else bool(automatic)

    def _find_rule(self, environ: dict[str, Any]) -> Any:
        """The Flask app's rule for the request; None: no rule matches its path; True: unknown."""
        request: Any = environ.get("werkzeug.request")
        if hasattr(request, "routing_exception"):  # a Flask app has looked, perhaps one of several
            is_missed = getattr(request.routing_exception, "code", None) == 404
            return None if is_missed else request.url_rule or True
        flask = find_flask(self._app)
        if flask is None:
            return True
        try:
            rule, _values = _bind(flask, environ).match(return_rule=True)
        except Exception as error:
            # werkzeug.exceptions.NotFound; anything else (another method, a redirect) means there is a rule.
            return None if getattr(error, "code", None) == 404 else True
        return rule


def _find_methods(environ: dict[str, Any]) -> Iterable[str]:
    """The methods that a Flask app has at the path of its 405, which a custom 405 page may not name."""
    error = getattr(environ.get("werkzeug.request"), "routing_exception", None)
    return getattr(error, "valid_methods", None) or ()


def _bind(flask: Any, environ: dict[str, Any]) -> Any:
    """The URL adapter of a request, created as the app itself does: the host may matter, too."""
    create = getattr(flask, "create_url_adapter", None)
    if create is None:
        return flask.url_map.bind_to_environ(environ)
    return create(flask.request_class(environ))


class _Replaced:
    """The app's iterable, or `answers` in its place. Which of the two is known only once the app has called
    `start_response`, possibly not before its first chunk. `close` is the app's own in either case.
    """

    def __init__(self, iterable: Iterable[bytes], answers: list[bytes]) -> None:
        self._iterable = iterable
        self._answers = answers

    def __iter__(self) -> Iterator[bytes]:
        if not self._answers:
            for chunk in self._iterable:
                if self._answers:
                    break
                yield chunk
        yield from self._answers

    def close(self) -> None:
        close = getattr(self._iterable, "close", None)
        if close is not None:
            close()
