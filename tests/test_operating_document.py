"""The code of docs/operating.md that logs in JSON is run as it stands there."""

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


@pytest.fixture(params=FORMS)
def server(request, tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)
    for name, text in (("logs", code), ("web", WEB), ("native", NATIVE)):
        (tmp_path / f"{name}.py").write_text(text)
    names = ("--native", "native:routes", "--wsgi", "web:app")
    server = Server(*names, form=request.param, folder=tmp_path, cwd=tmp_path)
    yield server
    server.stop()


def test_each_line_is_json_and_an_access_line_has_its_fields(server):
    with server.connect() as client:
        ids = [client.ask("GET", path).header("X-Request-Id") for path in ("/fine?x=1", "/fails", "/native")]
        client.send_request("GET", "/part")
        ids.append(client.head().header("X-Request-Id"))
        client.rest()
    assert server.log_lines('"target": "/part"')
    lines = [json.loads(line) for line in server.log.splitlines() if not line.startswith("waterspout 0")]
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
