"""The README's code is run as it stands there."""

import re
from pathlib import Path

import pytest

from tests.server import FORMS, Server

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
    native, application, view = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    package = tmp_path / "yourpackage"
    package.mkdir()
    (package / "__init__.py").write_text(FLASK_APP + view)
    (package / "native.py").write_text(native)
    (package / "main.py").write_text(
        "import waterspout\nfrom yourpackage.native import routes\n" + application
    )
    server = Server("yourpackage.main:app", form=request.param, folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_the_examples_work_together(server):
    assert server.get("/").text == "the orders"
    assert server.get("/healthz").text == '{"status": "ok"}'
    with server.connect() as events:
        events.send_request("GET", "/events")
        head = events.head()
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        assert server.ask("POST", "/orders", form, b"id=42").status == 302
        assert events.next_chunk(head) == b"data: 42\n\n"
