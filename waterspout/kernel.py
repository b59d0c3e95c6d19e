"""What the kernel holds for the other side of a connection. Leaf."""

from __future__ import annotations

import struct
from typing import Any, Final

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:
    ioctl = None  # type: ignore[assignment]  # Windows has none

#: Whether it can be asked (SIOCOUTQ of tcp(7)).
CAN_TELL: Final = ioctl is not None


def held_by_kernel(sock: Any) -> int:
    """Bytes that the other side of a socket has not acknowledged; 0, if nobody tells."""
    if ioctl is None:
        return 0
    try:
        answer = ioctl(sock.fileno(), TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):  # it is closed, or none
        return 0
    return int(struct.unpack("i", answer)[0])
