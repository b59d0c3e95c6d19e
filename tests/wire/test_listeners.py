"""Where a server can listen: TCP by name and by address, a UNIX socket, inherited ones; and TLS on them."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys

import pytest
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from tests.server import ROOT, START_DEADLINE, environment, new_id, poll
from tests.wire.client import Connection
from tests.wire.test_environ import environ_of, has_ipv6
from waterspout.limits import ACCEPTS

SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.flask_views:app")
ENVIRONS = ("--wsgi", "tests.apps.environs:app")
SERVERS = ("waterspout", "tornado")
LOOPS = ("asyncio", "uvloop")
#: For localhost, 127.0.0.1 and ::1, until 2126; used in tests alone.
KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgG+sfVvhR+HkcUXI1
lZUYZa6R4sbAAIuOsvlI+ewUp8ihRANCAARtIr+GG1L+IuHf+S5zmXKoabPtg4p9
SRD3zthWNP5AkZQwZsZ48IW5bjwTY4EhAFdIPlud6DtCUaxzi252XSDh
-----END PRIVATE KEY-----
"""
CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBrjCCAVSgAwIBAgIUH16CtN4Cs4gMvft2doiGwYJUhUQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDAyMjMxOVoYDzIxMjYxMDMx
MDIyMzE5WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARtIr+GG1L+IuHf+S5zmXKoabPtg4p9SRD3zthWNP5AkZQwZsZ48IW5
bjwTY4EhAFdIPlud6DtCUaxzi252XSDho4GBMH8wHQYDVR0OBBYEFA0AB2ZvXbO6
BUYn9gEh0Jgxix0KMB8GA1UdIwQYMBaAFA0AB2ZvXbO6BUYn9gEh0Jgxix0KMA8G
A1UdEwEB/wQFMAMBAf8wLAYDVR0RBCUwI4IJbG9jYWxob3N0hwR/AAABhxAAAAAA
AAAAAAAAAAAAAAABMAoGCCqGSM49BAMCA0gAMEUCIQCUGrUZsp+UD/lZSUmB7EAG
W3hkqPzjqDcdSO/6OYzFdQIgZfX8IeEfG/8mdLV9XeL7bYIC220BLd7OXJT7hhWY
Pqc=
-----END CERTIFICATE-----
"""
#: As systemd does it: descriptor 3, and our own pid.
ACTIVATE = (
    "import os, sys\n"
    "os.dup2(int(os.environ['TEST_FD']), 3)\n"
    "os.set_inheritable(3, True)\n"
    "os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', 'LISTEN_FDNAMES': 'web'}\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
)
TELLS_VARIABLES = """
import json, os
from tornado.web import RequestHandler

def told():
    return json.dumps([name for name in os.environ if name.startswith("LISTEN_")])

def app(environ, start_response):
    start_response("200 OK", [])
    return [told().encode()]

class Told(RequestHandler):
    def get(self):
        self.write(told())

routes = [("/native", Told)]
"""


class Wrapped(Connection):
    """A connection over a socket that already exists."""

    def __init__(self, sock):
        self.socket = sock
        self.buffer = bytearray()


def connect_unix(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(10)
    try:
        sock.connect(str(path))
    except BaseException:
        sock.close()
        raise
    return Wrapped(sock)


def connect_tls(sock):
    context = ssl.create_default_context(cadata=CERTIFICATE)
    context.set_alpn_protocols(["h2", "http/1.1"])
    sock.settimeout(10)
    return Wrapped(context.wrap_socket(sock, server_hostname="localhost"))


def dial(server):
    return connect_tls(socket.create_connection(server.address))


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen()
    return sock


def refuse(folder, *arguments, **options):
    """The exit code, and the one line, of a server that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "waterspout", "serve", *SERVE, *arguments],
        **{"cwd": ROOT, "env": environment(folder, None), "capture_output": True, "text": True} | options,
        timeout=START_DEADLINE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    (line,) = done.stderr.strip().splitlines()
    return done.returncode, line


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine")


@pytest.fixture
def certificate(tmp_path):
    (tmp_path / "cert.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text(KEY)
    return ("--certfile", str(tmp_path / "cert.pem"), "--keyfile", str(tmp_path / "key.pem"))


@pytest.fixture
def path(tmp_path):
    """Where a socket may be: of any length below pytest's own folders."""
    return tmp_path / "s"


@pytest.fixture
def start_unix(start_server, path):
    def start(*arguments, **options):
        return start_server(*arguments, listen=("--unix", str(path)), **options)

    return start


# --- TLS -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", SERVERS)
def test_both_sides_are_served_over_tls(start_server, certificate, kind, loop):
    words = ("--host", "127.0.0.1", "--port", "0", "--server", kind, "--loop", loop)
    server = start_server(*SERVE, *certificate, listen=words)
    assert f"https://127.0.0.1:{server.port} " in server.log
    body = os.urandom(1 << 20)
    with dial(server) as connection:
        assert connection.socket.selected_alpn_protocol() == "http/1.1"
        assert connection.socket.version() in ("TLSv1.2", "TLSv1.3")
        reply = connection.ask("POST", "/flask/data", body=body)
        assert (reply.status, reply.json()["sha256"]) == (200, hashlib.sha256(body).hexdigest())
        assert connection.ask("GET", "/native/ping").text == "pong"
    asyncio.run(asyncio.wait_for(talk(server), 10))
    server.stop()


async def talk(server):
    """A WebSocket's echo, over TLS."""
    context = ssl.create_default_context(cadata=CERTIFICATE)
    request = HTTPRequest(f"wss://localhost:{server.port}/native/ws", ssl_options=context)
    websocket = await websocket_connect(request)
    for text in ("one", "x" * 100_000):
        await websocket.write_message(text)
        assert await websocket.read_message() == f"heard {text}"
    websocket.close()
    assert await websocket.read_message() is None


def test_the_app_learns_that_it_is_served_over_tls(start_server, certificate, form):
    server = start_server(*ENVIRONS, *certificate, form=form)
    with dial(server) as connection:
        environ = environ_of(connection.ask("GET", "/environ"))
    assert environ["wsgi.url_scheme"] == "https"
    assert environ["SERVER_PORT"] == str(server.port)


def test_the_key_may_be_in_the_certificate_s_file(start_server, tmp_path):
    (tmp_path / "both.pem").write_text(KEY + CERTIFICATE)
    server = start_server(*SERVE, "--certfile", str(tmp_path / "both.pem"))
    with dial(server) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"


def test_a_client_that_speaks_no_tls_gets_nothing_and_harms_nobody(start_server, certificate):
    server = start_server(*SERVE, *certificate)
    with server.connect() as connection:
        connection.send_request("GET", "/native/ping")
        assert b"pong" not in connection.everything()
    with dial(server) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"
    server.stop()


def test_a_certificate_that_can_t_be_used_is_one_clear_line(tmp_path, certificate):
    words = (*certificate[:2], "--port", "0")
    assert refuse(tmp_path, *words, "--keyfile", "/none")[0] == 2
    code, line = refuse(tmp_path, *words)
    assert (code, "give --keyfile" in line) == (2, True)
    assert refuse(tmp_path, "--certfile", "/none", "--port", "0") == (
        2,
        "waterspout: --certfile /none can't be read: No such file or directory",
    )


# --- UNIX sockets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", SERVERS)
def test_both_sides_are_served_on_a_unix_socket(start_server, path, kind, loop):
    server = start_server(*SERVE, listen=("--unix", str(path), "--server", kind, "--loop", loop))
    assert f"serves unix:{path} on " in server.log
    body = os.urandom(1 << 20)
    with connect_unix(path) as connection:
        reply = connection.ask("POST", "/flask/data", body=body)
        assert reply.json()["sha256"] == hashlib.sha256(body).hexdigest()
        assert connection.ask("GET", "/native/ping").text == "pong"
        echo(connection)
    server.stop()
    assert not path.exists()


def echo(connection):
    """One short message of a WebSocket, masked with zeros."""
    upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13")]
    connection.send_request("GET", "/native/ws", [*upgrade, ("Sec-WebSocket-Key", "x" * 22 + "==")])
    assert connection.head().status == 101
    connection.send(b"\x81\x82\x00\x00\x00\x00hi")
    assert connection.take(10) == b"\x81\x08heard hi"


def test_curl_speaks_to_a_unix_socket(start_unix, path):
    start_unix(*SERVE)
    for target, text in (("/native/ping", "pong"), ("/flask/hello", "hello")):
        command = ["curl", "-sS", "-m", "10", "--unix-socket", str(path), f"http://localhost{target}"]
        try:
            assert subprocess.run(command, capture_output=True, text=True, timeout=20).stdout == text
        except FileNotFoundError:
            pytest.skip("no curl on this machine")


def test_a_unix_client_has_no_address(start_unix, path, form):
    start_unix(*ENVIRONS, form=form)
    with connect_unix(path) as connection:
        environ = environ_of(connection.ask("GET", "/environ", [("X-Forwarded-For", "192.0.2.1")]))
    assert (environ["REMOTE_ADDR"], environ["REMOTE_PORT"]) == ("0.0.0.0", "")
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == ("localhost", "80")
    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_a_proxy_on_a_unix_socket_can_be_trusted(start_unix, path):
    start_unix(*ENVIRONS, "--trusted-proxies", "unix")
    with connect_unix(path) as connection:
        environ = environ_of(connection.ask("GET", "/environ", [("X-Forwarded-For", "192.0.2.1")]))
    assert environ["REMOTE_ADDR"] == "192.0.2.1"


def test_trust_that_nobody_can_match_is_said_at_the_start(start_server, start_unix):
    server = start_unix(*ENVIRONS, "--trusted-proxies", "127.0.0.1,10.0.0.0/8")
    told = "matches no peer: the server listens"
    said = f"waterspout: --trusted-proxies {told} only on a UNIX socket; name unix"
    assert said in server.log.splitlines()
    server = start_server(*ENVIRONS, "--trusted-proxies", "unix")
    said = f"waterspout: --trusted-proxies unix {told} on no UNIX socket; name networks"
    assert said in server.log.splitlines()
    assert "matches no peer" not in start_server(*ENVIRONS, "--trusted-proxies", "unix,127.0.0.1").log


@pytest.mark.parametrize(("words", "mode"), [((), 0o660), (("--unix-mode", "600"), 0o600)])
def test_a_unix_socket_is_for_its_owner_and_group_unless_it_is_said(start_unix, path, words, mode):
    start_unix(*SERVE, *words)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_tls_on_a_unix_socket(start_unix, path, certificate):
    server = start_unix(*SERVE, *certificate)
    assert f"unix:{path} (TLS)" in server.log
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(path))
    with connect_tls(sock) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"


def test_the_socket_of_a_killed_server_is_replaced(start_unix, path):
    first = start_unix(*SERVE)
    first.kill()
    assert path.is_socket()
    second = start_unix(*SERVE)
    with connect_unix(path) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"
    second.stop()
    assert not path.exists()


def test_the_socket_of_a_living_server_is_left_alone(start_unix, path, tmp_path):
    server = start_unix(*SERVE)
    code, line = refuse(tmp_path, "--unix", str(path))
    assert (code, "a server listens there; stop it" in line) == (1, True)
    with connect_unix(path) as connection:
        assert connection.ask("GET", "/native/ping").text == "pong"
    server.stop()


def test_a_socket_that_took_the_place_of_ours_is_left_alone(start_unix, path):
    server = start_unix(*SERVE)
    path.unlink()
    with listening(socket.AF_UNIX, str(path)):
        server.stop()
        assert path.is_socket()


def test_a_unix_socket_is_gone_as_soon_as_the_server_begins_to_stop(start_unix, path):
    server, ident = start_unix("--wsgi", "tests.apps.working:app"), new_id()
    with connect_unix(path) as connection:
        connection.send_request("GET", f"/gated?id={ident}")
        server.wait_for_note("ran", ident)
        server.signal(signal.SIGTERM)
        assert poll(lambda: not path.exists())
        server.open_gate(ident)
        assert connection.reply().text == f"done {ident}"
    assert server.wait() == 0


def test_an_app_that_can_t_be_loaded_leaves_no_socket(path, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "waterspout", "serve", "--wsgi", "no_such:app", "--unix", str(path)],
        cwd=ROOT,
        env=environment(tmp_path, None),
        capture_output=True,
        timeout=START_DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    assert not path.exists()


def test_a_path_that_can_t_be_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("precious")
    code, line = refuse(tmp_path, "--unix", str(tmp_path / "file"))
    assert (code, "is not a socket" in line) == (1, True)
    assert (tmp_path / "file").read_text() == "precious"
    code, line = refuse(tmp_path, "--unix", str(tmp_path / ("x" * 200)))
    assert (code, "too long" in line) == (2, True)
    code, line = refuse(tmp_path, "--unix", str(tmp_path / "none" / "s"))
    assert (code, "No such file or directory" in line) == (1, True)


# --- inherited sockets ---------------------------------------------------------------------------------


def sockets_of(pid):
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:  # closed in the meantime
            continue
    return links


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("kind", SERVERS)
def test_an_inherited_socket_is_served_and_wsgi_processes_do_not_hold_it(start_server, kind, loop):
    with listening() as sock:
        words = ("--fd", str(sock.fileno()), "--server", kind, "--loop", loop)
        server = start_server(*SERVE, listen=words, form="process", pass_fds=[sock.fileno()])
        assert server.address == sock.getsockname()
        assert (server.get("/native/ping").text, server.get("/flask/hello").text) == ("pong", "hello")
        mark = f"socket:[{os.fstat(sock.fileno()).st_ino}]"
        assert mark in sockets_of(server.pid)
        (pid,) = server.wsgi_pids()
        assert mark not in sockets_of(pid)
        server.stop()


def test_a_client_that_comes_while_the_server_restarts_is_served_by_the_next(start_server):
    with listening() as sock:
        for _ in range(2):
            words = {"listen": ("--fd", str(sock.fileno())), "pass_fds": [sock.fileno()]}
            with Connection(sock.getsockname()) as connection:
                connection.send_request("GET", "/native/ping")
                server = start_server(*SERVE, **words)
                assert connection.reply().text == "pong"
            server.stop()


def test_clients_that_wait_as_the_server_stops_are_left_to_the_next(start_server):
    """Accepted by the one that ends, they would be closed a moment later, as they have sent nothing yet."""
    with listening() as sock, contextlib.ExitStack() as stack:
        sock.listen(1000)
        words = {
            "listen": ("--fd", str(sock.fileno()), "--server", "waterspout"),
            "pass_fds": [sock.fileno()],
        }
        server = start_server(*SERVE, **words)
        # The signal is heard first, and only then the event loop goes on.
        stack.enter_context(Connection(sock.getsockname())).send_request("GET", "/native/block?seconds=3")
        assert poll(lambda: "the event loop has been blocked" in server.log)
        server.signal(signal.SIGTERM)
        # More than are accepted in the few turns of the loop until it is told to stop.
        *_, last = [stack.enter_context(Connection(sock.getsockname())) for _ in range(8 * ACCEPTS)]
        assert server.wait() == 0
        server = start_server(*SERVE, **words)
        last.send_request("GET", "/native/ping")
        assert last.reply().text == "pong"
        server.stop()


@pytest.mark.parametrize("repeated", [False, True])
def test_several_inherited_sockets_of_any_kind_are_served(start_server, path, repeated):
    with listening() as tcp, listening(socket.AF_UNIX, str(path)) as unix:
        numbers = [str(tcp.fileno()), str(unix.fileno())]
        words = ("--fd", numbers[0], "--fd", numbers[1]) if repeated else ("--fd", ",".join(numbers))
        server = start_server(*SERVE, listen=words, pass_fds=[tcp.fileno(), unix.fileno()])
        assert f" and unix:{path} on" in server.log
        assert server.get("/native/ping").text == "pong"
        with connect_unix(path) as connection:
            assert connection.ask("GET", "/flask/hello").text == "hello"
        server.stop()
        assert path.is_socket()  # it is not ours to remove


def test_systemd_s_sockets_are_served_and_children_hear_nothing_of_them(start_server, tmp_path, form):
    (tmp_path / "telling.py").write_text(TELLS_VARIABLES)
    with listening() as sock:
        server = start_server(
            *("--native", "telling:routes", "--wsgi", "telling:app"),
            listen=(),
            form=form,
            cwd=tmp_path,
            python=("-c", ACTIVATE),
            env={"TEST_FD": str(sock.fileno())},
            pass_fds=[sock.fileno()],
        )
        assert server.address == sock.getsockname()
        for target in ("/native", "/wsgi"):
            assert json.loads(server.get(target).body) == []
        server.stop()


def test_an_address_that_is_said_wins_over_systemd_s_and_that_is_told(start_server):
    with listening() as sock:
        server = start_server(
            *SERVE, python=("-c", ACTIVATE), env={"TEST_FD": str(sock.fileno())}, pass_fds=[sock.fileno()]
        )
        assert server.address != sock.getsockname()
        assert "LISTEN_FDS is ignored" in server.log
        server.stop()


def test_a_descriptor_that_does_not_listen_is_one_clear_line(tmp_path):
    with socket.socket() as silent, (tmp_path / "file").open("w") as file:
        silent.bind(("127.0.0.1", 0))
        for number in (silent.fileno(), file.fileno(), 987):
            kept = {"pass_fds": [number] if number < 900 else []}
            code, line = refuse(tmp_path, "--fd", str(number), **kept)
            assert (code, f"descriptor {number} is not a listening socket" in line) == (2, True)


# --- addresses -----------------------------------------------------------------------------------------


@needs_ipv6
def test_an_ipv6_address_is_told_in_brackets_and_is_ipv6_alone(start_server):
    server = start_server(*SERVE, host="::1")
    assert f"http://[::1]:{server.port} " in server.log
    with Connection(("::1", server.port)) as connection:
        assert connection.ask("GET", "/flask/hello").text == "hello"
    with pytest.raises(ConnectionRefusedError):
        Connection(("127.0.0.1", server.port))


@needs_ipv6
@pytest.mark.parametrize("host", ["localhost", "::"])
def test_every_address_of_a_name_is_served(start_server, host):
    addresses = {each[4][0] for each in socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)}
    server = start_server(*SERVE, host=host)
    for address in addresses if host == "localhost" else ("127.0.0.1", "::1"):
        with Connection((address, server.port)) as connection:
            assert connection.ask("GET", "/flask/hello").text == "hello"
    server.stop()


# --- what contradicts itself ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--unix", "/tmp/s", "--port", "0"), "--port and --unix both say where to listen"),
        (("--unix", "/tmp/s", "--host", "::1"), "--host and --unix both say where to listen"),
        (("--fd", "3", "--port", "0"), "--port and --fd both say where to listen"),
        (("--fd", "3", "--unix", "/tmp/s"), "--unix and --fd both say where to listen"),
    ],
)
def test_two_places_to_listen_are_one_clear_line(tmp_path, words, text):
    code, line = refuse(tmp_path, *words)
    assert (code, text in line) == (2, True)
