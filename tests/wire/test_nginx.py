"""Behind Debian's nginx, with TLS and a prefix: both sides know what the browser's address bar says."""

import re
import socket
import threading
from contextlib import ExitStack, contextmanager

import pytest

from benchmarks.server import find_port
from tests.nginx import adapt, run_nginx
from tests.server import FORMS, ROOT, Server, reserved_port
from tests.wire.client import Connection
from tests.wire.test_listeners import CERTIFICATE, KEY, connect_tls
from tests.wire.test_proxies import COMMON, FAMILY, SERVE, SIDES

#: The client's address: nginx itself connects from 127.0.0.1.
CLIENT = "127.0.0.9"
TRUST = ("--trusted-proxies", "127.0.0.1")


def read_examples():
    """The configurations in docs/proxies.md."""
    return re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/proxies.md").read_text(), re.S)


def read_example():
    return read_examples()[0]


class Front:
    """nginx and the server behind it. `port`: nginx's."""

    def __init__(self, server, port):
        self.server = server
        self.port = port
        self.origin = f"https://localhost:{port}"

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.port), 10, source_address=(CLIENT, 0))
        return connect_tls(sock)

    def ask(self, method, target, headers=(), body=None):
        with self.connect() as connection:
            return connection.ask(method, target, [("Host", f"localhost:{self.port}"), *headers], body)

    def told(self, prefix, headers=()):
        """What both sides report; they must agree on COMMON."""
        native, flask = (self.ask("GET", prefix + side, headers).json() for side in SIDES)
        assert {name: native[name] for name in COMMON} == {name: flask[name] for name in COMMON}
        return flask | {"native": native}


def start(tmp_path_factory, form, text, *arguments):
    folder = tmp_path_factory.mktemp("front")
    folder.parent.chmod(0o755)
    server = Server(*SERVE, *TRUST, *arguments, form=form, folder=tmp_path_factory.mktemp("server"))
    port = find_port()
    try:
        with run_nginx(folder, adapt(text, folder, port, server.port, CERTIFICATE, KEY), port):
            yield Front(server, port)
        server.stop()
    finally:
        server.kill()


@pytest.fixture(scope="module", params=FORMS)
def stripping(request, tmp_path_factory):
    """The example as it stands: nginx strips /board."""
    yield from start(tmp_path_factory, request.param, read_example())


@pytest.fixture(scope="module", params=[(form, way) for form in FORMS for way in ("stripped", "handed on")])
def front(request, tmp_path_factory):
    """Everything is under /board, which nginx strips, or which is our root path."""
    form, way = request.param
    if way == "stripped":
        yield from start(tmp_path_factory, form, read_example())
    else:
        text = re.sub(r"location /board/ \{.*?\}", "", read_example(), flags=re.S)
        yield from start(tmp_path_factory, form, text, "--root-path", "/board")


def test_at_its_root(stripping):
    facts = stripping.told("")
    assert (facts["address"], facts["scheme"], facts["host"]) == (
        CLIENT,
        "https",
        f"localhost:{stripping.port}",
    )
    assert facts["server"] == ["localhost", str(stripping.port)]
    assert (facts["root_path"], facts["link"]) == ("", stripping.origin + "/told")
    assert facts["url"] == stripping.origin + "/told"
    assert facts["native"]["url"] == stripping.origin + "/native/told"


def test_under_a_prefix(front):
    facts = front.told("/board")
    assert (facts["address"], facts["scheme"]) == (CLIENT, "https")
    assert (facts["root_path"], facts["path"]) == ("/board", "/told")
    assert facts["link"] == facts["url"] == front.origin + "/board/told"
    assert facts["native"]["url"] == front.origin + "/board/native/told"
    assert facts["server"] == ["localhost", str(front.port)]


def test_redirects_come_back_to_the_prefix(front):
    for path in ("/leave", "/native/leave"):
        reply = front.ask("GET", "/board" + path)
        assert (reply.status, reply.header("Location")) == (302, "/board/told")


def test_the_origin_check_and_the_websocket(front):
    key = [("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13")]
    for origin, status in (
        (front.origin, 101),
        ("https://evil.example", 403),
        ("https://localhost", 403),
    ):
        with front.connect() as connection:
            headers = [("Host", f"localhost:{front.port}"), ("Origin", origin), *key]
            upgrade = [("Upgrade", "websocket"), ("Connection", "Upgrade")]
            connection.send_head("GET", "/board/native/socket", [*headers, *upgrade])
            assert connection.head().status == status
        reply = front.ask("POST", "/board/same", [("Origin", origin)], body=b"")
        assert reply.json() is (status == 101)


def test_the_log_names_the_client_and_what_it_asked_for(front):
    front.told("/board")
    for side in SIDES:
        assert front.server.log_lines(f"{CLIENT} GET /board{side} 200 ")


def test_what_the_client_claims_changes_nothing(front):
    claims = [(name, "81" if name.endswith("port") else "203.0.113.66") for name in FAMILY]
    honest, lying = front.told("/board"), front.told("/board", claims)
    for name in (*COMMON, "server", "url", "path"):
        assert honest[name] == lying[name]
    kept = {"x-forwarded-user", "x-forwarded-client-cert", "x-forwarded-of-next-year"}
    for facts in (lying, lying["native"]):
        assert {name for name, value in facts["headers"].items() if "203.0.113.66" in value} == kept


def test_nor_does_it_where_the_host_is_said_without_a_port(front):
    claims = [(name, "81") for name in FAMILY]
    with front.connect() as connection:
        for side in SIDES:
            facts = connection.ask("GET", "/board" + side, [("Host", "localhost"), *claims]).json()
            assert (facts["host"], facts["link"]) == ("localhost", "https://localhost/board/told")


def test_who_goes_round_the_proxy_is_who_he_is(front):
    server = front.server
    sock = socket.create_connection(server.address, 10, source_address=("127.0.0.7", 0))
    prefix = (
        "/board" if "mounted" in repr(server.process.args) or "--root-path" in server.process.args else ""
    )
    connection = Connection.__new__(Connection)
    connection.socket, connection.buffer = sock, bytearray()
    with connection:
        for side in SIDES:
            claims = [
                ("X-Forwarded-For", CLIENT),
                ("X-Forwarded-Proto", "https"),
                ("X-Forwarded-Prefix", "/evil"),
            ]
            facts = connection.ask("GET", prefix + side, claims).json()
            assert (facts["address"], facts["scheme"]) == ("127.0.0.7", "http")
            assert facts["root_path"] == prefix
            assert not set(facts["headers"]) & set(FAMILY)


def test_fields_that_nginx_hands_on_change_nothing_where_they_are_not_named(tmp_path_factory):
    """As in gunicorn's documentation: host, port and prefix arrive as the client wrote them."""
    text = """server {
        listen 443 ssl; ssl_certificate x; ssl_certificate_key x;
        location / {
            proxy_pass http://127.0.0.1:8888;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Host $http_host;
        }
    }"""
    named = ("--proxy-headers", "x-forwarded-for,x-forwarded-proto")
    with contextmanager(start)(tmp_path_factory, "process", text, *named) as front:
        claims = [(name, "81" if name.endswith("port") else "203.0.113.66") for name in FAMILY]
        facts = front.told("", [*claims, ("X-Forwarded-Prefix", "/evil")])
        assert (facts["address"], facts["link"]) == (CLIENT, front.origin + "/told")


def test_two_servers_are_restarted_in_turn_and_their_clients_notice_nothing(tmp_path, tmp_path_factory):
    """Each as soon as the other answers again: nginx must not hold it against the first that it was away."""

    def serve(port):
        server = Server(*SERVE, folder=tmp_path_factory.mktemp("server"), listen=("--port", str(port)))
        stack.callback(server.kill)
        return server

    def ask():
        while not over.wait(0.005):
            with Connection(("127.0.0.1", front)) as connection:
                answers.extend(connection.ask("GET", side, host).status for side in SIDES)

    _whole, text = read_examples()
    tmp_path.parent.chmod(0o755)
    front, over, answers, host = find_port(), threading.Event(), [], [("Host", "x")]
    with ExitStack() as stack:
        ports = [stack.enter_context(reserved_port()) for _ in range(2)]
        servers = [serve(port) for port in ports]
        for documented, port in zip(("8888", "8889"), ports, strict=True):
            text = text.replace(f"127.0.0.1:{documented}", f"127.0.0.1:{port}")
        text += f"""server {{
            listen 127.0.0.1:{front};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            location / {{ proxy_pass http://shop; }}
        }}"""
        stack.enter_context(run_nginx(tmp_path, text, front))
        client = threading.Thread(target=ask)
        client.start()
        try:
            for server in servers:
                server.stop()
                serve(server.port)
        finally:
            over.set()
            client.join()
        assert len(answers) > 2
        assert set(answers) == {200}
