"""The README's code is run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests import route_table
from tests.server import FORMS, START_DEADLINE, STOP_DEADLINE, Server, poll, reserved_port

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
README = Path(__file__).parent.parent / "README.md"
FLASK_APP = """
from flask import Flask, redirect, request, url_for
import waterspout

app = Flask(__name__)


class Order:
    def __init__(self, form):
        self.id = int(form["id"])


save = Order


@app.get("/")
def index():
    return "the orders"

"""


@pytest.fixture(params=FORMS)
def server(request, tmp_path):
    native, application, container, view = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    package = tmp_path / "yourpackage"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "web.py").write_text(FLASK_APP + view)
    (package / "native.py").write_text(native)
    (package / "main.py").write_text(application)
    (package / "stock.py").write_text(container)
    server = Server("yourpackage.main:app", form=request.param, folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_the_container_serves_in_a_stock_application(server, tmp_path):
    """Under the example's own main(), which never ends by itself."""
    with reserved_port() as port:
        code = (tmp_path / "yourpackage" / "stock.py").read_text().replace("8888", str(port))
        process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=ENVIRONMENT)
        try:
            assert poll(lambda: fetch(port) == b"the orders", START_DEADLINE)
        finally:
            process.terminate()
            process.wait(STOP_DEADLINE)


def fetch(port):
    try:
        with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as reply:
            return reply.read()
    except OSError:
        return None


def test_the_examples_work_together(server):
    assert server.get("/").text == "the orders"
    assert server.get("/healthz").text == '{"status": "ok"}'
    with server.connect() as events:
        events.send_request("GET", "/events")
        head = events.head()
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        assert server.ask("POST", "/orders", form, b"id=42").status == 302
        assert events.next_chunk(head) == b"data: 42\n\n"


def test_the_route_table_is_what_the_command_says_of_the_board():
    assert route_table.read_table() == route_table.print_table(), "make routes writes it anew"
