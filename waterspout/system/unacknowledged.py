"""How many bytes the kernel holds that the peer of a connection has not acknowledged. Leaf."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any, Final

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:
    ioctl = None  # type: ignore[assignment]  # Windows has none

#: <sys/socket.h> of macOS, whose sockets don't know TIOCOUTQ.
_SO_NWRITE: Final = 0x1024


def _ask(sock: Any) -> int:
    """SIOCOUTQ of tcp(7), SO_NWRITE of macOS's getsockopt(2). Raises OSError."""
    if sys.platform == "darwin":
        return int(sock.getsockopt(socket.SOL_SOCKET, _SO_NWRITE))
    return int(struct.unpack("i", ioctl(sock.fileno(), TIOCOUTQ, bytes(4)))[0])


def _can_tell() -> bool:
    """Tries it with a socket that is not connected: it holds nothing, so the answer must be 0."""
    try:
        with socket.socket() as sock:
            return ioctl is not None and _ask(sock) == 0
    except OSError:
        return False


#: Whether the kernel can be asked.
CAN_TELL: Final = _can_tell()


def held_by_kernel(sock: Any) -> int:
    """Bytes that the peer of a socket has not acknowledged; 0 if unknown."""
    try:
        return _ask(sock) if CAN_TELL else 0
    except (AttributeError, OSError, ValueError):  # it is closed, or not a socket
        return 0
