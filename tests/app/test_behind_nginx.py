"""The board as it is deployed: behind nginx with deploy/nginx.conf, which it trusts as its unit says."""

import http.client
import re
import sqlite3
import ssl
import urllib.parse
from contextlib import closing

import pytest

from app.settings import EXAMPLE_DATABASE, ROOT
from app.store.operators import GUESSES_EACH_ADDRESS
from benchmarks.server import find_port
from tests.app.operating import read_password
from tests.app.serving import FORMS, start_board, wait_for_address
from tests.nginx import adapt, run_nginx
from tests.server import poll
from tests.wire.test_listeners import CERTIFICATE, KEY

# Browsers; nginx itself reaches the board from 127.0.0.1.
ANNA, MALLORY, SPOOFED = "127.0.0.9", "127.0.0.66", "203.0.113.7"
TIMEOUT = 20.0


class Browser:
    """A client at an address of its own, with its cookies, that lies about who it is."""

    def __init__(self, port, address):
        self.port, self.address, self.cookie = port, address, ""

    def ask(self, method, path, fields=None, **headers):
        context = ssl.create_default_context(cadata=CERTIFICATE)
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=TIMEOUT, context=context, source_address=(self.address, 0)
        )
        lies = {"X-Forwarded-For": SPOOFED, "X-Real-IP": SPOOFED, "Forwarded": f"for={SPOOFED}"}
        body = None if fields is None else urllib.parse.urlencode(fields)
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body, {**lies, **headers, "Cookie": self.cookie})
            response = connection.getresponse()
            response.text = "" if response.status == 101 else response.read().decode()
        finally:
            connection.close()
        if response.getheader("Set-Cookie"):
            self.said = response.getheader("Set-Cookie")
            self.cookie = self.said.partition(";")[0]
        return response

    def sign_in(self, name, password):
        page = self.ask("GET", "/login").text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        origin = f"https://localhost:{self.port}"
        fields = {"name": name, "password": password, "csrf_token": token}
        return self.ask("POST", "/login", fields, Origin=origin)


def read_unit():
    """The variables that the unit sets for the board, as far as they concern proxies."""
    unit = (ROOT / "deploy/waterspout-board.service").read_text()
    return dict(re.findall(r"^Environment=(WATERSPOUT_TRUSTED_PROXIES)=(.+)$", unit, re.M))


@pytest.fixture(params=FORMS)
def front(request, tmp_path):
    """The port of nginx, and the folder of the board behind it."""
    board, front = tmp_path / "board", tmp_path / "front"
    board.mkdir()
    front.mkdir()
    for folder in tmp_path.parents:
        if folder.name.startswith("pytest-"):
            folder.chmod(0o755)
    port = find_port()
    variables = read_unit()
    assert variables
    with start_board(board, *FORMS[request.param], **variables) as (server, log):
        upstream = urllib.parse.urlsplit(wait_for_address(server, log)).port
        text = adapt((ROOT / "deploy/nginx.conf").read_text(), front, port, upstream, CERTIFICATE, KEY)
        with run_nginx(front, text, port):
            yield port, board


def test_the_board_knows_who_its_clients_are(front):
    port, folder = front
    name, password = read_password(folder)
    anna = Browser(port, ANNA)
    reply = anna.sign_in(name, password)
    assert (reply.status, reply.getheader("Location")) == (303, "/admin/")
    assert "Secure" in anna.said
    with closing(sqlite3.connect(folder / EXAMPLE_DATABASE)) as database:
        found = database.execute("select address from audit_line where action = 'signed in'").fetchall()
    assert found == [(ANNA,)]

    # Guesses are counted by address: those of one client lock no other out.
    mallory = Browser(port, MALLORY)
    statuses = [mallory.sign_in(f"nobody {n}", "wrong").status for n in range(GUESSES_EACH_ADDRESS + 1)]
    assert statuses == [400] * GUESSES_EACH_ADDRESS + [429]
    assert Browser(port, ANNA).sign_in(name, password).status == 303
    assert poll(lambda: (folder / "server.log").read_text().count(f"{ANNA} POST /login 303 ") == 2)


def test_a_page_of_its_own_may_open_the_socket_and_no_other(front):
    port, _folder = front
    handshake = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    for origin, status in ((f"https://localhost:{port}", 101), ("https://evil.example", 403)):
        reply = Browser(port, ANNA).ask("GET", "/api/ws", Origin=origin, **handshake)
        assert reply.status == status
