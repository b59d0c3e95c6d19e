"""The fallback: a WSGI app as Tornado sees it."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tornado.httputil import HTTPConnection, HTTPServerConnectionDelegate, HTTPServerRequest
from tornado.wsgi import WSGIContainer

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.wsgi.admission import Admission
from waterspout.wsgi.exchange import Exchange
from waterspout.wsgi.pool import Pool, PoolSettings
from waterspout.wsgi.spool import SpoolSpace


class Container(WSGIContainer, HTTPServerConnectionDelegate):
    """A `WSGIContainer` whose app runs on lanes: threads of this process, or of WSGI processes.

    `wsgi`: `"module:callable"`, `"module:factory()"`, or a WSGI callable. An import string runs in one
    process by default, a callable in threads of this one.

    Serves in three ways: as the fallback of a `tornado.web.FallbackHandler` (the body is buffered by
    Tornado, unless the application is ours); as the target of a rule, or given to an `HTTPServer`, where it
    is an `HTTPServerConnectionDelegate` and bodies stream.

    Nothing starts here: `await start()`, or the first request, does. Raises ConfigurationError.
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
        debug: bool = False,
    ) -> None:
        if workers is None:
            workers = limits.WSGI_WORKERS if isinstance(wsgi, str) else 0
        self.max_body_size = max_body_size
        self.is_trusted = build_trust(trusted_proxies)
        self._spool, self._spool_reply = spool, spool_reply
        self._open(Pool(wsgi, PoolSettings(workers, threads, queue, graceful_timeout, debug)))

    def _open(self, pool: Pool) -> None:
        for name, size in (("spool", self._spool), ("spool_reply", self._spool_reply)):
            if not isinstance(size, int) or size < 0:
                raise ConfigurationError(f"wsgi {name} must be a number of bytes, not {size!r}")
        self.pool = pool
        lanes = max(1, pool.settings.workers) * pool.settings.threads
        self.admission = Admission(pool, lanes, SpoolSpace(self._spool), self._spool_reply)

    def configure(self, **changes: Any) -> None:
        """Change settings before the start: those of the constructor, by name.

        Raises ConfigurationError.
        """
        if "max_body_size" in changes:
            self.max_body_size = changes.pop("max_body_size")
        if "trusted_proxies" in changes:
            self.is_trusted = build_trust(changes.pop("trusted_proxies"))
        self._spool = changes.pop("spool", self._spool)
        self._spool_reply = changes.pop("spool_reply", self._spool_reply)
        self._open(Pool(self.pool.target, replace(self.pool.settings, **changes)))

    async def start(self) -> None:
        """Start the lanes. Raises TargetNotFound, TargetRaised."""
        await self.pool.start()

    async def stop(self, timeout: float | None = None) -> None:
        """Let running requests finish, for `timeout` seconds (the graceful timeout), and stop the lanes."""
        await self.pool.stop(timeout)

    # -- Tornado calls these -----------------------------------------------------------------------------

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """`HTTPServerConnectionDelegate`: bodies and replies stream."""
        return Exchange(
            self.pool,
            request_conn,
            admission=self.admission,
            max_body_size=self.max_body_size,
            is_trusted=self.is_trusted,
        )

    def __call__(self, request: HTTPServerRequest) -> None:
        """A fallback's interface: the request is here as a whole."""
        assert request.connection is not None
        exchange = self.start_request(request.server_connection, request.connection)
        exchange.request = request
        exchange.execute()


def build_trust(networks: Iterable[str]) -> Callable[[str], bool]:
    """Whether an address lies in one of `networks` (CIDR). Raises ConfigurationError: not a network."""
    try:
        trusted = tuple(ipaddress.ip_network(network.strip(), strict=False) for network in networks)
    except ValueError as error:
        raise ConfigurationError(f"trusted proxies: {error}") from None

    @lru_cache(maxsize=1024)
    def is_trusted(address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in trusted)

    return is_trusted
