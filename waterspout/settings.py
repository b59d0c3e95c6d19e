"""The settings of `waterspout serve`: one frozen value, validated once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from waterspout import limits
from waterspout.exceptions import ConfigurationError
from waterspout.http.settings import HTTPSettings
from waterspout.ops.address import OpsAddress
from waterspout.system.loopback import is_loopback


@dataclass(frozen=True)
class ServeSettings:
    """The options of `waterspout serve`; `application` holds those for the application that were given.

    Sizes in bytes, times in seconds. `loop`: "auto", "asyncio" or "uvloop". `server`: "waterspout" or
    "tornado". It listens on `descriptors`, which it inherited; or at `unix`, a path, with `unix_mode`; or
    else on `host` and `port`; or, when it has restarted itself, on `inherited`, as before. `certfile`,
    `keyfile`: paths, for TLS. `max_body_size`: for a stock application; None: as much as on Tornado's server.
    `http`: Tornado's server uses only its head size and keep-alive timeout. `ops`: where the figures are
    served, if anywhere.
    """

    host: str = "127.0.0.1"
    port: int = 8888
    unix: str | None = None
    unix_mode: int = 0o660
    descriptors: tuple[int, ...] = ()
    inherited: tuple[int, ...] = ()
    certfile: str | None = None
    keyfile: str | None = None
    loop: str = "auto"
    server: str = "waterspout"
    graceful_timeout: float = limits.GRACEFUL_TIMEOUT
    max_body_size: int | None = None
    http: HTTPSettings = HTTPSettings()  # noqa: RUF009 - an immutable value
    access_log: bool = True
    reload: bool = False
    debug: bool = False
    ops: OpsAddress | None = None
    application: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if not 0 <= self.graceful_timeout < math.inf:
            raise ConfigurationError(
                "the graceful timeout must be a finite number of seconds, 0 or more, "
                f"not {self.graceful_timeout}"
            )
        if self.debug:
            self.refuse_debugger("--debug")

    def refuse_debugger(self, said_by: str) -> None:
        """Raises ConfigurationError: somebody other than this machine's browser could use it."""
        place = self.find_way_in()
        if place is not None:
            raise ConfigurationError(
                f"{said_by} lets anyone who can reach {place} run code: use it on loopback only "
                "(--host 127.0.0.1)"
            )

    def find_way_in(self) -> str | None:
        """Where somebody other than this machine's browser may get in, perhaps through a proxy."""
        if self.descriptors:
            return "an inherited socket"
        if self.unix is not None:
            return f"unix:{self.unix}"
        return None if is_local(self.host) else self.host or "any address"


def is_local(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    return host == "localhost" or is_loopback(host)
