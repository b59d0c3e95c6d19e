"""Listening sockets, and what of them is removed afterwards."""

import errno
import fcntl
import gc
import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.wire.test_environ import has_ipv6
from waterspout.exceptions import ConfigurationError, WaterspoutError
from waterspout.limits import NOT_SENT
from waterspout.system import listeners as listeners_module
from waterspout.system.listeners import (
    Listeners,
    adopt,
    listen_tcp,
    listen_unix,
    remove_files,
    take_activated,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s"


def not_sent(sock):
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)


# --- TCP -----------------------------------------------------------------------------------------------


def test_a_tcp_port_is_described_as_a_client_writes_it():
    with listen_tcp("127.0.0.1", 0) as listeners:
        (sock,) = listeners.sockets
        port = sock.getsockname()[1]
        assert listeners.describe(secure=False) == f"http://127.0.0.1:{port}"
        assert listeners.describe(secure=True) == f"https://127.0.0.1:{port}"
    assert sock.fileno() == -1


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::", ""])
def test_all_addresses_are_those_of_ipv4_too(host):
    with listen_tcp(host, 0) as listeners:
        (port,) = {sock.getsockname()[1] for sock in listeners.sockets}
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port)).close()


@pytest.mark.skipif(not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="Linux and macOS have it")
def test_a_tcp_port_holds_little_of_a_reply():
    with listen_tcp("127.0.0.1", 0) as listeners:
        assert not_sent(listeners.sockets[0]) == NOT_SENT


@pytest.mark.filterwarnings("ignore:.*unclosed <socket:ResourceWarning")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "x" * 70, "127.0.0.1.1"])
def test_an_address_that_can_t_be_is_told(host):
    """Tornado's `bind_sockets` leaves the socket that it could not bind to the garbage collector."""
    with pytest.raises(WaterspoutError, match=f"can't listen on {host} port 0: .*see --host and --port"):
        listen_tcp(host, 0)
    gc.collect()


def test_who_may_not_have_a_port_is_told_what_it_needs(monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("waterspout.system.listeners.bind_sockets", refuse)
    for port, needs in ((80, "need CAP_NET_BIND_SERVICE"), (8080, "--port$")):
        with pytest.raises(WaterspoutError, match=f"port {port}: Permission denied.*{needs}"):
            listen_tcp("::", port)


def test_where_the_kernel_has_no_ipv6_nobody_listens_there_in_silence(monkeypatch):
    def refuse(family, *_):
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr("tornado.netutil.socket.socket", refuse)
    with pytest.raises(WaterspoutError, match="can't listen on ::1 port 0: Address family not supported"):
        listen_tcp("::1", 0)


# --- UNIX sockets --------------------------------------------------------------------------------------


def test_a_unix_socket_listens_and_is_removed(path):
    with listen_unix(str(path), 0o600) as listeners:
        assert listeners.describe(secure=False) == f"unix:{path}"
        assert listeners.describe(secure=True) == f"unix:{path} (TLS)"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert not listeners.sockets[0].get_inheritable()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()
    listeners.close()


def test_its_file_can_go_before_it_does(path):
    with listen_unix(str(path), 0o660) as listeners:
        listeners.remove_file()
        assert not path.exists()
        with listen_unix(str(path), 0o660):
            listeners.close()
            assert path.is_socket()


def test_its_file_can_be_left_to_the_next_one_on_the_same_socket(path):
    with listen_unix(str(path), 0o660) as listeners:
        sock = listeners.sockets[0].dup()
        listeners.keep_file()
    assert path.is_socket()
    with Listeners([sock], str(path)):
        pass
    assert not path.exists()


def test_where_a_process_ends_at_once_its_files_go_and_nobody_else_s(path, tmp_path):
    with listen_unix(str(path), 0o660), listen_unix(str(tmp_path / "t"), 0o660):
        path.unlink()
        path.write_text("precious")
        remove_files()
        assert path.read_text() == "precious"
        assert not (tmp_path / "t").exists()


def test_a_file_that_somebody_else_has_removed_need_not_be_there(path):
    with listen_unix(str(path), 0o660) as listeners:
        path.unlink()
        with Listeners([listeners.sockets[0].dup()], str(path)):
            path.write_text("precious")
    assert path.read_text() == "precious"


def test_a_relative_path_is_still_known_in_another_directory(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    with listen_unix("s", 0o660):
        assert path.is_socket()
        monkeypatch.chdir("/")
    assert not path.exists()


def test_what_a_dead_server_left_is_replaced(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert path.is_socket()
    with listen_unix(str(path), 0o660), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("is_relative", [False, True])
def test_of_two_that_begin_at_once_one_listens_and_the_other_is_told(path, is_relative, monkeypatch):
    """A socket that is bound, and does not listen yet, is not a dead server's."""
    monkeypatch.chdir(path.parent)
    name = path.name if is_relative else str(path)
    bound, goes_on = threading.Event(), threading.Event()

    def stand_still(*_):
        bound.set()
        assert goes_on.wait(30)

    monkeypatch.setattr(listeners_module, "LISTEN_TURN", 30)
    monkeypatch.setattr(os, "chmod", stand_still)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(listen_unix, name, 0o660)
        assert bound.wait(30)
        second = threads.submit(listen_unix, name, 0o660)
        with pytest.raises(TimeoutError):
            second.result(0.3)
        goes_on.set()
        with first.result(30), pytest.raises(WaterspoutError, match="a server listens there"):
            second.result(30)


def test_a_folder_that_somebody_else_locks_or_hides_is_listened_in_all_the_same(path, monkeypatch):
    monkeypatch.setattr(listeners_module, "LISTEN_TURN", 0.1)
    folder = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    listen_unix(str(path), 0o660).close()
    os.close(folder)

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)
    listen_unix(str(path), 0o660).close()
    assert list(path.parent.iterdir()) == []


def test_what_somebody_listens_on_is_left_alone(path):
    with listen_unix(str(path), 0o660):
        with pytest.raises(WaterspoutError, match=r"a server listens there; stop it") as caught:
            listen_unix(str(path), 0o660)
        assert not isinstance(caught.value, ConfigurationError)
        assert path.is_socket()


def test_a_server_with_no_room_for_one_more_connection_listens_all_the_same(path):
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as client:
        busy.bind(str(path))
        busy.listen(0)
        client.connect(str(path))
        with pytest.raises(WaterspoutError, match="a server listens there"):
            listen_unix(str(path), 0o660)
        assert path.is_socket()


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_no_socket_is_left_alone(path, kind):
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("elsewhere")
    with pytest.raises(WaterspoutError, match="that path is not a socket"):
        listen_unix(str(path), 0o660)
    assert os.path.lexists(path)


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("", ConfigurationError, "--unix is empty"),
        ("/tmp/" + "x" * 120, ConfigurationError, "125 bytes are too long"),
        ("/tmp/" + "x" * 400, ConfigurationError, "405 bytes are too long"),
        ("/no/such/folder", WaterspoutError, "No such file or directory; see --unix"),
    ],
)
def test_a_path_that_can_t_be_is_told(name, kind, text):
    with pytest.raises(kind, match=text):
        listen_unix(name, 0o660)


def test_a_socket_of_somebody_else_is_told(path, monkeypatch):
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda *_: errno.EACCES)
    with pytest.raises(WaterspoutError, match="belongs to another user"):
        listen_unix(str(path), 0o660)
    assert path.is_socket()


def test_where_its_mode_can_t_be_set_nothing_is_left_behind(path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    with pytest.raises(WaterspoutError, match="Operation not permitted; see --unix"):
        listen_unix(str(path), 0o660)
    assert not path.exists()


# --- inherited sockets ---------------------------------------------------------------------------------


def test_inherited_sockets_are_served_once_and_kept_from_children(path):
    tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
    unix.bind(str(path))
    unix.listen()
    for sock in (tcp, unix):
        sock.set_inheritable(True)
    with adopt([tcp.detach(), unix.fileno(), unix.detach()]) as listeners:
        assert [sock.family for sock in listeners.sockets] == [socket.AF_INET, socket.AF_UNIX]
        assert not any(sock.get_inheritable() or sock.getblocking() for sock in listeners.sockets)
        assert listeners.describe(secure=False).endswith(f" and unix:{path}")
        assert not_sent(listeners.sockets[0]) == NOT_SENT
    assert path.is_socket()  # whoever made it removes it


@pytest.mark.skipif(not os.path.exists("/proc/net/unix"), reason="abstract names are Linux's")
def test_an_abstract_name_is_written_with_an_at():
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind("\0waterspout-test")
        sock.listen()
        with adopt([os.dup(sock.fileno())]) as listeners:
            assert listeners.describe(secure=False) == "unix:@waterspout-test"


@pytest.mark.parametrize("kind", ["bound", "connected", "datagram", "file", "closed"])
def test_a_descriptor_that_does_not_listen_is_told_and_left_open(kind, tmp_path):
    near, far = socket.socketpair()
    things = {
        "listening": socket.create_server(("127.0.0.1", 0)),
        "bound": socket.socket(),
        "connected": near,
        "datagram": socket.socket(type=socket.SOCK_DGRAM),
        "file": (tmp_path / "file").open("w"),
    }
    things["bound"].bind(("127.0.0.1", 0))
    number = 9_999 if kind == "closed" else things[kind].fileno()
    good = os.dup(things["listening"].fileno())
    with pytest.raises(ConfigurationError, match=f"descriptor {number} is not a listening socket"):
        adopt([good, number])
    for thing in (*things.values(), far):
        os.fstat(thing.fileno())
        thing.close()


class OfMacOS(socket.socket):
    """On macOS, SO_ACCEPTCONN is no more than a name."""

    def getsockopt(self, level, option, *size):
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")
        return super().getsockopt(level, option, *size)


def test_where_nobody_tells_who_listens_it_is_tried(monkeypatch):
    """Otherwise no server could restart itself on its sockets (--reload)."""
    listening, unbound, (near, far) = (
        socket.create_server(("127.0.0.1", 0)),
        socket.socket(),
        socket.socketpair(),
    )
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    client = socket.create_connection(listening.getsockname())
    monkeypatch.setattr(socket, "socket", OfMacOS)
    for sock in (near, unbound, datagrams, client):
        with pytest.raises(ConfigurationError, match="it does not accept connections"):
            adopt([sock.fileno()])
        sock.close()
    far.close()
    with adopt([listening.detach()]) as listeners:
        assert listeners.describe(secure=False).startswith("http://127.0.0.1:")
        listeners.sockets[0].accept()[0].close()  # the client that had connected before is still there


def test_a_kernel_that_holds_what_it_wants_is_no_reason_not_to_listen(monkeypatch):
    def refuse(sock, level, option, value):
        if option == socket.TCP_NOTSENT_LOWAT:
            raise OSError(errno.ENOPROTOOPT, "Protocol not available")

    monkeypatch.setattr(socket.socket, "setsockopt", refuse)
    with listen_tcp("127.0.0.1", 0) as listeners:
        assert listeners.sockets


def test_systemd_s_variables_are_taken_away():
    environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b", "HOME": "/"}
    assert take_activated(environ) == (3, 4)
    assert environ == {"HOME": "/"}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid())},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"},
    ],
)
def test_what_is_not_meant_for_this_process_is_taken_away_too(environ):
    assert take_activated(environ) == ()
    assert environ == {}


@pytest.mark.parametrize("count", ["", "-1", "many", "9999", "\u0661"])
def test_a_number_that_is_none_is_told(count):
    with pytest.raises(ConfigurationError, match="is not a number of descriptors"):
        take_activated({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": count})
