"""The operations address: GET /-/stats and /-/health on a listener of its own, never on the public port."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final, Protocol

from tornado.web import Application, RequestHandler

from waterspout.http import HTTPServer
from waterspout.http.counting import Connections, count_connections
from waterspout.limits import SMALL_BODY
from waterspout.ops.address import OpsAddress
from waterspout.ops.gauges import Gauges
from waterspout.ops.natives import walk_natives
from waterspout.system.listeners import Listeners, listen_tcp, listen_unix

#: Who may read the figures at a UNIX socket: its owner and group.
_MODE: Final = 0o660


class PublicServer(Protocol):
    """The server whose connections are reported."""

    def count_connections(self) -> Connections: ...


class OpsServer:
    """Serves what `gauges` reads, from `listen()` to `close()`, including while the server starts and stops.

    Attributes: `public`, the server whose connections are reported, None until there is one; `starting`, true
    until that serves: `start()` of the application may take longer than the pools; `stopping`, set when it
    takes no more requests. It is unhealthy in both.
    """

    def __init__(self, address: OpsAddress, gauges: Gauges) -> None:
        self._address = address
        self._gauges = gauges
        self._listeners: Listeners | None = None
        self.public: PublicServer | None = None
        self.starting = True
        self.stopping = False
        told = {"ops": self}
        routes = [(r"/-/stats", _Stats, told), (r"/-/health", _Health, told)]
        paths = {"paths": [path for path, *_ in routes]}
        # No access log: it is polled every few seconds.
        application = Application(
            routes,
            default_handler_class=_Nothing,
            default_handler_args=paths,
            log_function=lambda _: None,
        )
        self._server = HTTPServer(application, max_body_size=SMALL_BODY)  # no request needs one
        # A lack of descriptors is logged by this server, too, and its own connections are few.
        self._server.count_connections = self.count_public  # type: ignore[method-assign]  # on this instance

    def listen(self) -> None:
        """Start serving. Raises WaterspoutError: it can't listen there."""
        address = self._address
        if address.path is not None:
            self._listeners = listen_unix(address.path, _MODE, "--ops-bind")
        else:
            self._listeners = listen_tcp(address.host, address.port, "--ops-bind")
        self._server.add_sockets(self._listeners.sockets)
        self._gauges.lag.keep()

    async def close(self) -> None:
        """Stop, even if clients are connected. Harmless when it never began."""
        self._gauges.lag.stop()
        if self._listeners is not None:
            self._listeners.remove_file()  # while its socket is open
        self._server.stop()
        await self._server.close_all_connections()

    def describe(self) -> str:
        """Where it listens."""
        return self._listeners.describe(secure=False) if self._listeners is not None else str(self._address)

    def descriptors(self) -> list[int]:
        """Its sockets and connections, which no child may inherit."""
        listening = self._listeners.sockets if self._listeners is not None else []
        open_ones = [number for sock in listening if (number := sock.fileno()) >= 0]
        return [*open_ones, *self._server.descriptors()]

    async def read_stats(self) -> dict[str, Any]:
        """For /-/stats."""
        natives = [each async for each in walk_natives() if not isinstance(each.handler, _Answer)]
        connections = self.count_public()._asdict()
        return {"stopping": self.stopping, "connections": connections, **self._gauges.read(natives)}

    def count_public(self) -> Connections:
        """The connections of the public server."""
        return count_connections(0, None) if self.public is None else self.public.count_connections()

    def read_health(self) -> dict[str, Any]:
        """For /-/health."""
        down = self._gauges.find_down()
        healthy = not (down or self.starting or self.stopping)
        return {"healthy": healthy, "starting": self.starting, "stopping": self.stopping, "down": down}


class _Answer(RequestHandler):
    """Replies with current values, as JSON."""

    def say(self, value: dict[str, Any]) -> None:
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(value, indent=2) + "\n")


class _Nothing(_Answer):
    """404, with the paths that exist."""

    def initialize(self, paths: list[str]) -> None:
        self.paths = paths

    def prepare(self) -> None:
        self.set_status(404)
        self.say({"error": "Not Found", "paths": self.paths})


class _Figures(_Answer):
    def initialize(self, ops: OpsServer) -> None:
        self.ops = ops

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        if status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", "GET, HEAD")  # RFC 9110 section 15.5.6
        self.say({"error": self._reason})


class _Stats(_Figures):
    async def get(self) -> None:
        self.say(await self.ops.read_stats())

    head = get


class _Health(_Figures):
    def get(self) -> None:
        health = self.ops.read_health()
        self.set_status(200 if health["healthy"] else 503)
        self.say(health)

    head = get
