"""Whether a request asks for a WebSocket. Pure."""

from __future__ import annotations


def asks_for_websocket(method: str, version: str, upgrade: str, connection: str) -> bool:
    """RFC 6455 section 4.2.1. `upgrade`, `connection`: the values of those fields, or ""."""
    return (
        method == "GET"
        and version == "HTTP/1.1"
        and upgrade.strip().lower() == "websocket"
        and "upgrade" in (option.strip() for option in connection.lower().split(","))
    )
