"""The fallback: a WSGI app as Tornado sees it."""

from __future__ import annotations

import asyncio
import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, Never

from tornado.httputil import HTTPConnection, HTTPServerConnectionDelegate, HTTPServerRequest
from tornado.wsgi import WSGIContainer

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.importer import find_fault
from waterspout.message.proxies import PROXY_SETTINGS, Proxies
from waterspout.message.record import take_over
from waterspout.ops.gauges import Gauges
from waterspout.wsgi.exchange.exchange import Exchange
from waterspout.wsgi.naming import Link
from waterspout.wsgi.pool.bulkheads import Rule
from waterspout.wsgi.pool.pool import Pool
from waterspout.wsgi.pool.pools import NamedSettings, Pools
from waterspout.wsgi.pool.telling import find_down, read_pools
from waterspout.wsgi.settings import PoolSettings, check_size


class Container(WSGIContainer, HTTPServerConnectionDelegate):
    """A `WSGIContainer` whose app runs on lanes: threads of this process, or of WSGI processes.

    `wsgi`: `"module:callable"`, `"module:factory()"`, or a WSGI callable. An import string runs in one
    process by default, a callable in threads of this one.

    Serves in three ways: as the fallback of a `tornado.web.FallbackHandler` (the body is buffered by
    Tornado, unless the application is ours); as the target of a rule, or given to an `HTTPServer`, where it
    is an `HTTPServerConnectionDelegate` and bodies stream.

    `pools` and `pool_rules` send slow paths to separate lanes:

        pools={"reports": {"workers": 1, "threads": 4}}, pool_rules=[("/reports/*", "reports")]

    A pool has the settings of the main one, named "main", except those that are given; `workers` and
    `threads` must be. The first rule that matches the path decides: see `waterspout.wsgi.pool.bulkheads`.

    `max_body_size`: the largest request body allowed (bytes). `trusted_proxies`, `proxy_headers` and
    `root_path`: see `waterspout.message.proxies`. The other arguments are the settings of `PoolSettings`. On
    the command line they begin with `--wsgi-`, except these four, `graceful_timeout` and `debug`.

    Nothing starts until `await start()` or the first request. Raises ConfigurationError.

    Attributes: `pool`, the main one; `pools`, all by name; `gauges`, the figures to read; `proxies`;
    `max_body_size`; `link`, what each side knows of the other's URLs.
    """

    def __init__(
        self,
        wsgi: str | Callable[..., Any],
        *,
        workers: int | None = None,
        threads: int = limits.WSGI_THREADS,
        queue: int = limits.WSGI_QUEUE,
        max_body_size: int = limits.MAX_BODY_SIZE,
        graceful_timeout: float = limits.GRACEFUL_TIMEOUT,
        spool: int = limits.WSGI_SPOOL,
        spool_reply: int = limits.WSGI_SPOOL_REPLY,
        trusted_proxies: Iterable[str] = (),
        proxy_headers: str | Collection[str] | None = None,
        root_path: str | None = None,
        debug: bool = False,
        timeout: float = limits.WSGI_TIMEOUT,
        queue_timeout: float = limits.WSGI_QUEUE_TIMEOUT,
        max_requests: int = 0,
        max_requests_jitter: int = 0,
        max_rss: int = 0,
        nice: int = limits.WSGI_NICE,
        pools: NamedSettings | None = None,
        pool_rules: Iterable[Rule] = (),
        **unknown: Never,
    ) -> None:
        if unknown:
            raise _refuse(min(unknown))
        _check_app(wsgi)
        if workers is None:
            workers = limits.WSGI_WORKERS if isinstance(wsgi, str) else 0
        self.max_body_size = check_size("max_body_size", max_body_size)
        self.proxies = Proxies(trusted_proxies, proxy_headers, root_path)
        settings = PoolSettings(
            workers=workers,
            threads=threads,
            queue=queue,
            graceful_timeout=graceful_timeout,
            debug=debug,
            timeout=timeout,
            queue_timeout=queue_timeout,
            max_requests=max_requests,
            max_requests_jitter=max_requests_jitter,
            max_rss=max_rss,
            nice=nice,
            spool=spool,
            spool_reply=spool_reply,
        )
        self.gauges = Gauges(lambda: read_pools(self.pools), lambda: find_down(self.pools))
        self.link = Link()
        self._build(wsgi, settings, pools or {}, tuple(pool_rules))

    def configure(self, **changes: Any) -> None:
        """Change settings before the start: those of the constructor, by name.

        Raises ConfigurationError, also if it has been started. Then nothing is changed.
        """
        if not changes:
            return
        if any(pool.is_open for pool in self.pools.values()):  # nothing would stop what runs in them
            raise ConfigurationError(
                f"the container has been started and no longer takes {', '.join(sorted(changes))}: set "
                "that when you create the container, or stop() it first"
            )
        size = check_size("max_body_size", changes.pop("max_body_size", self.max_body_size))
        told = {name: changes.pop(name) for name in PROXY_SETTINGS if name in changes}
        proxies = Proxies(**self.proxies.settings | told) if told else self.proxies
        named = changes.pop("pools", self._named)
        rules = tuple(changes.pop("pool_rules", self._rules))
        if unknown := changes.keys() - {field.name for field in fields(PoolSettings)}:
            raise _refuse(min(unknown))
        self._build(self.pool.target, replace(self.pool.settings, **changes), named, rules)
        self.max_body_size, self.proxies = size, proxies

    def _build(
        self,
        target: str | Callable[..., Any],
        settings: PoolSettings,
        named: NamedSettings,
        rules: tuple[Rule, ...],
    ) -> None:
        self._pools = Pools(target, settings, named, rules, self.link)
        self._named, self._rules = named, rules
        self.pool = self._pools.main
        self._dispatcher = self._pools.dispatcher

    @property
    def pools(self) -> Mapping[str, Pool]:
        """All pools by name; the main one, "main", first."""
        return self._pools.all

    def stats(self) -> dict[str, Any]:
        """What an operator wants to see, for JSON: see docs/stats.md. Call it only on the event loop.

        The first call starts sampling the event loop's lag, which ends after some time without calls.
        """
        return self.gauges.read()

    async def start(self) -> None:
        """Start the lanes. Raises TargetNotFound, TargetRaised: the app can't be loaded; PoolError: it was
        started on another event loop, or in another process.
        """
        await self._pools.start()

    async def stop(self, timeout: float | None = None) -> None:
        """Let running requests finish, for `timeout` seconds (the graceful timeout), and stop the lanes."""
        try:
            await self._pools.stop(timeout)
        finally:
            self.gauges.lag.stop()

    def reload(self) -> None:
        """Replace the WSGI processes of all pools with new ones that run the app's current code. Threads of
        this process can't be reloaded: the log says so.
        """
        self._pools.reload()

    def __init_subclass__(cls, **options: Any) -> None:
        """Raises ConfigurationError: it overrides `environ()`, which only Tornado's container can call."""
        super().__init_subclass__(**options)
        if cls.environ is not WSGIContainer.environ:
            raise ConfigurationError(
                f"{cls.__qualname__}.environ() is never called: the app may run in another process, which "
                "builds the environ. Instead, wrap the WSGI app in a function that adds to it"
            )

    # -- Tornado calls these -----------------------------------------------------------------------------

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """`HTTPServerConnectionDelegate`: bodies and replies stream."""
        return Exchange(
            self._dispatcher, request_conn, max_body_size=self.max_body_size, proxies=self.proxies
        )

    def __call__(self, request: HTTPServerRequest) -> None:
        """The interface of a fallback: the whole request is here."""
        self._open(request).execute()

    async def handle_request(self, request: HTTPServerRequest) -> None:
        """The same, for a handler that has to clean up afterwards: this waits until the reply is whole, or
        nobody waits for it any more.
        """
        exchange = self._open(request)
        exchange.over = asyncio.get_running_loop().create_future()
        exchange.execute()
        await exchange.over

    def _open(self, request: HTTPServerRequest) -> Exchange:
        take_over(request)
        assert request.connection is not None
        exchange = self.start_request(request.server_connection, request.connection)
        exchange.request = request
        exchange.allow = getattr(request, "denied", frozenset())
        exchange.varies = getattr(request, "depends_on_cookies", False)
        return exchange


def _check_app(wsgi: Any) -> None:
    """Check the callable; what an import string names is checked on loading. Raises ConfigurationError."""
    if isinstance(wsgi, str):
        return
    if not callable(wsgi):
        raise ConfigurationError(f"wsgi must be an import string or a WSGI callable, not {wsgi!r}")
    if not find_fault(wsgi, ""):
        return
    name, call = getattr(wsgi, "__qualname__", None), ""
    if not isinstance(name, str):
        named = f"of {type(wsgi).__module__}.{type(wsgi).__qualname__}"
    else:
        named, call = f"{wsgi.__module__}.{name}", f"{name.rpartition('.')[2]}()"
        if "<" not in name:  # else it is local to a function, and no import string can name it
            call = f"{name}(), or '{wsgi.__module__}:{name}()'"
    raise ConfigurationError(f"wsgi, {named}, {find_fault(wsgi, call)}")


def _refuse(name: str) -> ConfigurationError:
    """The error for a setting that does not exist."""
    if name.startswith("wsgi_"):
        bare = name.removeprefix("wsgi_")
        return ConfigurationError(f"{bare}: a Container's settings have no wsgi_ prefix")
    ours = inspect.signature(Container).parameters
    near = difflib.get_close_matches(name, ours, n=1)
    return ConfigurationError(f"unknown setting {name!r}{f'; did you mean {near[0]!r}?' if near else ''}")
