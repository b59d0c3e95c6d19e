"""WebSocket clients that do nothing: python -m benchmarks.clients PORT PATH COUNT

Says "open" when all are connected, and waits for a line. Then each client sends a message and expects it
back, so that an idle connection is known to be alive: says "alive", waits for the end of its input, leaves.
"""

from __future__ import annotations

import socket
import sys

TIMEOUT = 20
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: The text "hi", final; the client's is masked, with four zeros (RFC 6455 section 5.2).
SENT = b"\x81\x82\0\0\0\0hi"
EXPECTED = b"\x81\x02hi"


def connect(port: int, path: str) -> socket.socket:
    """An open WebSocket. Raises OSError."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
    sock.sendall(HANDSHAKE.format(path=path, port=port).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        part = sock.recv(4096)
        if not part:
            raise ConnectionError(f"closed in the handshake after {head!r}")
        head += part
    if not head.startswith(b"HTTP/1.1 101 "):
        raise ConnectionError(f"no upgrade: {head!r}")
    return sock


def ask(sock: socket.socket) -> None:
    """Send a message and get it back. Raises OSError."""
    sock.sendall(SENT)
    reply = b""
    while len(reply) < len(EXPECTED):
        part = sock.recv(len(EXPECTED) - len(reply))
        if not part:
            break
        reply += part
    if reply != EXPECTED:
        raise ConnectionError(f"sent {SENT!r}, got {reply!r} back")


def main() -> None:
    port, path, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    try:
        sockets = [connect(port, path) for _ in range(count)]
        print("open", flush=True)
        sys.stdin.readline()
        for sock in sockets:
            ask(sock)
        print("alive", flush=True)
        sys.stdin.read()
    except OSError as error:
        print(f"failed: {error!r}", flush=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
