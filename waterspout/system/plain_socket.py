"""Sockets as Python has them, for threads that block in them. Leaf.

Code that is imported later may replace the class (grequests does, by gevent): the other one never lets a
thread block in the kernel, waits even where it is told not to, and may only be used where it was made.
"""

from __future__ import annotations

import socket
from typing import Final

_Socket: Final = socket.socket


def open_plain(descriptor: int) -> socket.socket:
    """The socket with this descriptor, blocking: whatever made it, and whatever socket.setdefaulttimeout()
    says.
    """
    sock = _Socket(fileno=descriptor)
    sock.setblocking(True)
    return sock


def make_plain(sock: socket.socket) -> socket.socket:
    """The same socket, blocking. If it is another class's, that one no longer has it."""
    if not isinstance(sock, _Socket):
        return open_plain(sock.detach())
    sock.setblocking(True)
    return sock
