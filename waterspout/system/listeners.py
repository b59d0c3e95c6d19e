"""Where a server listens: TCP ports, a UNIX socket, inherited sockets. Leaf."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import socket
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from typing import Final, NamedTuple

from tornado.netutil import bind_sockets

from waterspout.exceptions import ConfigurationError, WaterspoutError
from waterspout.limits import BACKLOG, LISTEN_TURN, NOT_SENT

#: The first of systemd's descriptors (sd_listen_fds(3)).
_FIRST_ACTIVATED: Final = 3
_ACTIVATION: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
#: Run as root or as the same user, it shows the process, too.
_SHOWS_TAKEN: Final = (
    "ss -ltnp 'sport = :{port}'" if sys.platform == "linux" else "lsof -nP -iTCP:{port} -sTCP:LISTEN"
)
#: How often a server that waits for its turn tries again (seconds).
_LOCK_LOOK: Final = 0.02
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


class _File(NamedTuple):
    """The file of a UNIX socket: its absolute path, in case the app changes directory, and its identity."""

    path: str
    device: int
    inode: int


#: The files of all our sockets that still exist.
_files: set[_File] = set()


class Listeners:
    """Listening sockets; a context manager that closes them. `file`: the path of a UNIX socket of ours, if it
    is still there.
    """

    def __init__(self, sockets: list[socket.socket], file: str | None = None) -> None:
        self.sockets = sockets
        self._file = None if file is None else _find_file(file)
        if self._file is not None:
            _files.add(self._file)
        for sock in sockets:
            _bound_memory(sock)

    def remove_file(self) -> None:
        """Remove the file, unless it is another server's by now. The socket must be open: while it is, no
        other file gets its inode.
        """
        file, self._file = self._file, None
        if file is not None:
            _remove(file)

    def keep_file(self) -> None:
        """Leave it to the next process that listens on the same socket."""
        self._file = None

    def close(self) -> None:
        """May be called again, and after a server has closed the sockets."""
        self.remove_file()
        for sock in self.sockets:
            sock.close()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, *, secure: bool) -> str:
        """The addresses that clients connect to."""
        return " and ".join(describe_socket(sock, secure) for sock in self.sockets)


def remove_files() -> None:
    """Remove those of all sockets of this process, which ends right after; kept ones, too."""
    for file in list(_files):
        _remove(file)


def _remove(file: _File) -> None:
    """Remove it, unless it is another server's by now."""
    _files.discard(file)
    if _find_file(file.path) == file:
        with contextlib.suppress(OSError):
            os.unlink(file.path)


def _find_file(path: str) -> _File | None:
    """None: it does not exist, or can't be accessed."""
    try:
        status = os.lstat(path)
        return _File(os.path.abspath(path), status.st_dev, status.st_ino)
    except OSError:
        return None


def _bound_memory(sock: socket.socket) -> None:
    """Inherited by accepted sockets: the kernel takes what it can soon send, and not megabytes more for a
    client that has stopped reading. A UNIX socket holds little anyway.
    """
    if sock.family != socket.AF_UNIX and hasattr(socket, "TCP_NOTSENT_LOWAT"):
        with contextlib.suppress(OSError):  # it only saves memory
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOT_SENT)


def describe_socket(sock: socket.socket, secure: bool) -> str:
    """The address that clients of this socket connect to."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        # Linux's abstract names are bytes that begin with a NUL, which is written as @.
        path = os.fsdecode(name).replace("\0", "@")
        return f"unix:{path}" + (" (TLS)" if secure else "")
    host, port = name[:2]
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


# --- TCP ---------------------------------------------------------------------------------------------------


def listen_tcp(host: str, port: int, option: str = "") -> Listeners:
    """Listen on every address of `host`; "" or "::": all addresses of this machine, including IPv4, as other
    servers do. `option`: where this was given, if not by --host and --port.

    Raises WaterspoutError.
    """
    try:
        sockets = bind_sockets(port, "" if host == "::" else host, backlog=BACKLOG)
        if not sockets:  # Tornado skips an IPv6 address if the kernel doesn't support IPv6
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return Listeners(sockets)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is too long for DNS
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        advice = f"choose another {option or '--port'}" if taken else f"see {option or '--host and --port'}"
        if taken:
            advice += f" ({_SHOWS_TAKEN.format(port=port)} shows which process has it)"
        elif isinstance(error, PermissionError) and port < 1024:
            advice += "; ports below 1024 need CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=)"
        reason = getattr(error, "strerror", None) or error
        raise WaterspoutError(f"can't listen on {host} port {port}: {reason}; {advice}") from None


# --- UNIX sockets ------------------------------------------------------------------------------------------


def listen_unix(path: str, mode: int, option: str = "--unix") -> Listeners:
    """Listen at `path`, given by `option`; a socket left there by a dead server is replaced.

    Raises ConfigurationError: no socket can have this path. WaterspoutError: it can't listen there.
    """
    if not path:
        raise ConfigurationError(f"{option} is empty: give the path of a socket")
    with _turn_in(os.path.dirname(path) or os.curdir):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            _clear(path)
            sock.bind(path)
        except OSError as error:
            sock.close()
            raise _explain(path, error, option) from None
        except BaseException:
            sock.close()
            raise
        return _open_to_clients(sock, path, mode, option)


@contextlib.contextmanager
def _turn_in(folder: str) -> Iterator[None]:
    """One server at a time: a socket that is bound but not listening yet looks like a dead server's. If the
    folder can't be locked (it is unreadable, or on NFS), there are no turns, and nobody waits.
    """
    descriptor = -1
    try:
        with contextlib.suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            _lock(descriptor, time.monotonic() + LISTEN_TURN)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _lock(descriptor: int, deadline: float) -> None:
    """Raises OSError: it can't be locked, or not by the deadline."""
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOCK_LOOK)


def _open_to_clients(sock: socket.socket, path: str, mode: int, option: str) -> Listeners:
    listeners = Listeners([sock], path)
    try:
        os.chmod(path, mode)  # before `listen`: until then nobody can connect
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        listeners.close()
        raise _explain(path, error, option) from None
    return listeners


def _clear(path: str) -> None:
    """Remove the socket of a dead server. Raises WaterspoutError: something else is there. OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(status.st_mode):
        raise WaterspoutError(f"can't listen on unix:{path}: that path is not a socket; choose another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        refused = probe.connect_ex(path)
    if refused == errno.EACCES:
        raise PermissionError(errno.EACCES, "the existing socket belongs to another user")
    if refused not in (errno.ECONNREFUSED, errno.ENOENT):
        raise WaterspoutError(
            f"can't listen on unix:{path}: a server listens there; stop it, or choose another path"
        )
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _explain(path: str, error: OSError, option: str) -> WaterspoutError:
    if error.errno is None or error.errno == errno.ENAMETOOLONG:  # Python's own check has no number
        size = len(os.fsencode(path))
        return ConfigurationError(
            f"{option} {path}: {size} bytes are too long for the path of a socket; choose a shorter one"
        )
    return WaterspoutError(f"can't listen on unix:{path}: {error.strerror}; see {option}")


# --- inherited sockets -------------------------------------------------------------------------------------


def adopt(descriptors: Iterable[int]) -> Listeners:
    """Serve the sockets inherited from the process that started us. Raises ConfigurationError: one does not
    listen.
    """
    sockets: list[socket.socket] = []
    try:
        sockets.extend(map(_adopt, dict.fromkeys(descriptors)))
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return Listeners(sockets)


def _adopt(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise _no_listener(descriptor, error.strerror) from None
    if sock.family not in _FAMILIES or not _listens(sock):
        sock.detach()
        raise _no_listener(descriptor, "it does not accept connections")
    sock.set_inheritable(False)  # WSGI processes must not keep the port
    sock.setblocking(False)
    return sock


def _listens(sock: socket.socket) -> bool:
    try:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            raise
    # macOS has the option's name, but doesn't answer. `listen` may be called again on a listening socket.
    name = sock.getsockname()
    is_bound = bool(name[1] if isinstance(name, tuple) else name)
    if is_bound:
        try:
            sock.listen(BACKLOG)
        except OSError:  # it is connected, or not a stream
            return False
    return is_bound


def _no_listener(descriptor: int, reason: str | None) -> ConfigurationError:
    return ConfigurationError(
        f"descriptor {descriptor} is not a listening socket ({reason}): the process that starts the server "
        "must open it, listen on it, and let it be inherited"
    )


def find_missent(environ: Mapping[str, str]) -> str:
    """A warning about descriptors that systemd has passed to another process: a shell, say, whose child this
    one is. "": there are none.
    """
    pid, count = (environ.get(name, "") for name in _ACTIVATION[:2])
    if not (pid and count) or pid == str(os.getpid()):
        return ""
    return (
        f"LISTEN_FDS is ignored: it was meant for process {pid} (LISTEN_PID), and this one is {os.getpid()}; "
        f"where a shell starts the server, write exec before it, or --fd {_FIRST_ACTIVATED}"
    )


def take_activated(environ: MutableMapping[str, str]) -> tuple[int, ...]:
    """The descriptors that systemd passed to this very process (sd_listen_fds(3)), if it did.

    The variables are removed: a child must not take them as meant for it. Raises ConfigurationError.
    """
    pid, count, *_ = [environ.pop(name, None) for name in _ACTIVATION]
    if pid != str(os.getpid()) or count is None:
        return ()
    if not re.fullmatch(r"[0-9]{1,3}", count):
        raise ConfigurationError(f"LISTEN_FDS={count} is not a number of descriptors: see sd_listen_fds(3)")
    return tuple(range(_FIRST_ACTIVATED, _FIRST_ACTIVATED + int(count)))
