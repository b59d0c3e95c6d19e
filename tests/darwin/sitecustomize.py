"""Python on Linux made to look like macOS's, as far as Waterspout asks; not macOS. To run by hand:

    PYTHONPATH=tests/darwin waterspout serve --wsgi app:app

C code (uvloop, asyncio's own sending) bypasses it: it shows which names, calls and limits are missing.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import resource
import selectors
import signal
import socket
import stat
import sys
import sysconfig
import termios
import time
import types
from typing import Any

_MISSING = (
    (os, "pidfd_open sched_ SCHED_ posix_fadvise POSIX_FADV_ preadv pwritev RWF_ O_DIRECT "
         "O_PATH O_TMPFILE memfd_create MFD_ eventfd EFD_ splice SPLICE_ copy_file_range waitid pipe2"),
    (resource, "RUSAGE_THREAD prlimit"),
    (fcntl, "F_SETPIPE_SZ F_GETPIPE_SZ F_ADD_SEALS"),
    (signal, "sigtimedwait sigwaitinfo SIGPOLL SIGPWR SIGSTKFLT SIGRTM"),
    (socket, "SOCK_CLOEXEC SOCK_NONBLOCK SO_PEERCRED SO_DOMAIN SO_PROTOCOL SO_MARK SO_BINDTODEVICE TCP_INFO "
             "TCP_USER_TIMEOUT TCP_CORK TCP_QUICKACK TCP_DEFER_ACCEPT MSG_NOSIGNAL MSG_CMSG_CLOEXEC"),
    (time, "CLOCK_BOOTTIME pthread_getcpuclockid"),
)  # fmt: skip
_TCP_INFO, _TCP_CLOSE, _SO_NWRITE = 11, 7, 0x1024
_SOCKET_BUFFER, _FILE_PIECE = 4096, 60_000  # Linux doubles the first

selectors.DefaultSelector = selectors.PollSelector  # no kqueue here, and no epoll there
del selectors.EpollSelector
sysconfig.get_config_vars()  # needs this system's real name
sys.platform = "darwin"
sys.modules["_scproxy"] = types.ModuleType("_scproxy")
sys.modules["_scproxy"].__dict__.update(_get_proxy_settings=dict, _get_proxies=dict)
for _module, _names in _MISSING:
    for _name in list(vars(_module)):
        if _name.startswith(tuple(_names.split())):
            delattr(_module, _name)


def _without_proc(call: Any) -> Any:
    def instead(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        if isinstance(path, str) and path.startswith("/proc"):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return call(path, *args, **kwargs)

    return instead


builtins.open = io.open = _without_proc(open)
for _name in ("open", "listdir", "stat", "scandir", "readlink"):
    setattr(os, _name, _without_proc(getattr(os, _name)))

_ioctl, _sendfile, _clock_gettime, _socketpair = (
    fcntl.ioctl,
    os.sendfile,
    time.clock_gettime,
    socket.socketpair,
)


def _ioctl_of_darwin(fd: Any, request: int, *args: Any) -> Any:
    number = fd if isinstance(fd, int) else fd.fileno()
    if request == termios.TIOCOUTQ and stat.S_ISSOCK(os.fstat(number).st_mode):
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
    return _ioctl(fd, request, *args)


def _clock_of_darwin(number: int) -> float:
    if number < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _clock_gettime(number)


def _socketpair_of_darwin(*args: Any, **kwargs: Any) -> tuple[socket.socket, socket.socket]:
    pair = _socketpair(*args, **kwargs)
    for sock in pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SOCKET_BUFFER)
    return pair


fcntl.ioctl = _ioctl_of_darwin
time.clock_gettime = _clock_of_darwin
socket.socketpair = _socketpair_of_darwin
os.sendfile = lambda out, file, offset, count: _sendfile(out, file, offset, min(count, _FILE_PIECE))

_socket = socket.socket.__mro__[1]


def _is_cut(sock: Any) -> bool:
    """Whether it was connected, and its other end has reset it."""
    if sock.family == socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not _socket.getsockname(sock)[1]:
        return False
    return bool(_socket.getsockopt(sock, socket.IPPROTO_TCP, _TCP_INFO, 1)[0] == _TCP_CLOSE)


def _getsockopt(self: Any, level: int, option: int, *size: int) -> Any:
    if (level, option) == (socket.SOL_SOCKET, _SO_NWRITE):
        return int.from_bytes(_ioctl(self.fileno(), termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    if (level, option) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))
    return _socket.getsockopt(self, level, option, *size)


def _setsockopt(self: Any, *args: Any) -> None:
    if _is_cut(self):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    _socket.setsockopt(self, *args)


def _getpeername(self: Any) -> Any:
    if _is_cut(self):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return _socket.getpeername(self)


def _bind(self: Any, address: Any) -> None:
    if self.family == socket.AF_UNIX and len(os.fsencode(address)) >= 104:
        raise OSError("AF_UNIX path too long")
    _socket.bind(self, address)


for _call in (_getsockopt, _setsockopt, _getpeername, _bind):
    setattr(socket.socket, _call.__name__[1:], _call)
