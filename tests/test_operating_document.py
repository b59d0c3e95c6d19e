"""The code of docs/operating.md that changes the log is run as it stands there."""

import json
import re
from pathlib import Path

import pytest

from tests.server import FORMS, Server

DOCUMENT = Path(__file__).parent.parent / "docs" / "operating.md"
WEB = """
import logs
from flask import Flask

app = Flask(__name__)


@app.get("/fails")
def fail():
    raise RuntimeError("a view's")


@app.get("/part")
def stop():
    def parts():
        yield "12345"
        raise RuntimeError("later")

    return parts()
"""
NATIVE = """
import logs
from tornado.web import RequestHandler


class Fine(RequestHandler):
    def get(self):
        self.write("fine")


class Fails(RequestHandler):
    def get(self):
        raise RuntimeError("a handler's")


routes = [("/fine", Fine), ("/native", Fails)]
"""


JSON, CUT_QUERY = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)


@pytest.fixture(params=FORMS)
def start(request, tmp_path):
    """Starts the server, given the code that both sides import."""
    servers = []

    def start(code):
        for name, text in (("logs", code), ("web", WEB), ("native", NATIVE)):
            (tmp_path / f"{name}.py").write_text(text)
        names = ("--native", "native:routes", "--wsgi", "web:app")
        servers.append(Server(*names, form=request.param, folder=tmp_path, cwd=tmp_path))
        return servers[0]

    yield start
    for server in servers:
        server.stop()


def test_an_access_line_may_do_without_the_query(start):
    server = start("import logging\n" + CUT_QUERY)
    assert [server.get(f"{path}?token=secret").status for path in ("/fine", "/none")] == [200, 404]
    assert server.log_lines("GET /fine 200 ")
    assert server.log_lines("GET /none 404 ")
    assert "secret" not in server.log


def test_each_line_is_json_and_an_access_line_has_its_fields(start):
    server = start(JSON)
    with server.connect() as client:
        ids = [client.ask("GET", path).header("X-Request-Id") for path in ("/fine?x=1", "/fails", "/native")]
        client.send_request("GET", "/part")
        ids.append(client.head().header("X-Request-Id"))
        client.rest()
    assert server.log_lines('"target": "/part"')
    said = ("waterspout 0", "waterspout: waiting for the WSGI app to load")  # the second by a slow machine
    lines = [json.loads(line) for line in server.log.splitlines() if not line.startswith(said)]
    access = [line for line in lines if line["logger"] == "waterspout.access"]
    for line in access:
        assert line.pop("time")
        assert isinstance(line.pop("ms"), float)
        assert isinstance(line["bytes"], int)
    constant = {"level": "INFO", "logger": "waterspout.access", "client": "127.0.0.1", "method": "GET"}
    names = ("target", "status", "bytes", "owner", "word")
    assert access == [
        {**constant, "id": ident, **dict(zip(names, values, strict=True))}
        for ident, values in zip(
            ids,
            (
                ("/fine?x=1", 200, 4, "native", ""),
                ("/fails", 500, access[1]["bytes"], "wsgi", ""),
                ("/native", 500, access[2]["bytes"], "native", ""),
                ("/part", 200, 5, "wsgi", " cut"),
            ),
            strict=True,
        )
    ]
    tracebacks = "".join(line.get("traceback", "") for line in lines)
    for said in ("a view's", "a handler's", "later"):
        assert f"RuntimeError: {said}" in tracebacks
