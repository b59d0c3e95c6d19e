"""Where the figures are served: the value of `--ops-bind`. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

from waterspout.exceptions import ConfigurationError

_SHAPE: Final = "HOST:PORT, like 127.0.0.1:9100 or [::1]:9100, or unix:PATH"
_UNIX: Final = "unix:"


class OpsAddress(NamedTuple):
    """A host and a port (0: any free one), or `path`, the path of a UNIX socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return _UNIX + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_ops_address(text: str) -> OpsAddress:
    """Raises ConfigurationError."""
    text = text.strip()
    if text.startswith(_UNIX) and len(text) > len(_UNIX):
        return OpsAddress(path=text.removeprefix(_UNIX))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if bracketed:
        host = host[1:-1]
    elif ":" in host:  # ::1:9100 could be either
        colon = ""
    if not colon or not host or not (port.isascii() and port.isdecimal() and int(port[:6]) < 65536):
        raise ConfigurationError(f"{text!r} is not an address: write {_SHAPE}")
    return OpsAddress(host, int(port))
