"""What `waterspout serve` is told: one frozen value, validated once."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass, field
from typing import Any

from waterspout import limits
from waterspout.exceptions import ConfigurationError


@dataclass(frozen=True)
class ServeSettings:
    """The options of `waterspout serve`; `application` holds those that were given and are the app's.

    Sizes in bytes, times in seconds. `loop`: "auto", "asyncio" or "uvloop". `server`: "waterspout" or
    "tornado".
    """

    host: str = "127.0.0.1"
    port: int = 8888
    loop: str = "auto"
    server: str = "waterspout"
    graceful_timeout: float = limits.GRACEFUL_TIMEOUT
    max_body_size: int = limits.MAX_BODY_SIZE
    access_log: bool = True
    debug: bool = False
    application: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigurationError."""
        if not 0 <= self.graceful_timeout < math.inf:
            raise ConfigurationError(f"the graceful timeout is in seconds, not {self.graceful_timeout}")
        if self.debug and not is_loopback(self.host):
            raise ConfigurationError(
                f"--debug lets whoever reaches {self.host} run code: it is for loopback only "
                "(--host 127.0.0.1)"
            )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
