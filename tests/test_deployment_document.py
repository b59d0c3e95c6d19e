"""What docs/deployment.md tells the owner of an app to write is right, as far as can be told here."""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import Server, reserved_port
from tests.test_deploy import INSTRUCTIONS
from waterspout import limits

DOCUMENT = (Path(__file__).parent.parent / "docs" / "deployment.md").read_text()
WEB = """
import os
from flask import Flask, url_for

app = Flask(__name__)
app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]

@app.get("/")
def index():
    return url_for("index", _external=True)
"""
NATIVE = """
from tornado.web import RequestHandler

class Health(RequestHandler):
    def get(self):
        self.write("native")

routes = [("/healthz", Health)]
"""


def read_blocks(language):
    return [
        text.replace("\\\n", " ") for text in re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT, re.M | re.S)
    ]


def read_block(language):
    return read_blocks(language)[0]


def read_lines(name, text):
    return re.findall(rf"^{name}[ =](.*)$", text, re.M)


@pytest.fixture(scope="module")
def settings():
    lines = [line for line in read_block("sh").splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def start(tmp_path):
    """A server started with the document's command, in a folder with such an app."""
    servers = []

    def start(program, serve, *arguments, **options):
        assert (Path(program).name, serve) == ("waterspout", "serve")
        package = tmp_path / "shop"
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "web.py").write_text(WEB)
        (package / "native.py").write_text(NATIVE)
        servers.append(Server(*arguments, folder=tmp_path, cwd=tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def test_the_unit_s_command_serves_the_app_with_the_settings(start, settings):
    (command,) = read_lines("ExecStart", read_block("ini"))
    (folder,) = read_lines("WorkingDirectory", read_block("ini"))
    assert command.startswith(f"{folder}/.venv/bin/")
    assert read_lines("OOMPolicy", read_block("ini")) == ["continue"]  # a WSGI process is replaced
    server = start(*command.split(), env=settings)
    assert server.get("/healthz").text == "native"
    reply = server.get("/", [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.example")])
    assert reply.text == "https://shop.example/"


def test_supervisord_starts_the_same_and_waits_for_running_requests(start):
    _unit, text = read_blocks("ini")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    program = parser["program:shop"]
    environ = dict(re.findall(r'(\w+)="([^"]*)"', program["environment"]))
    assert [program["command"]] == read_lines("ExecStart", read_block("ini"))
    assert start(*program["command"].split(), env=environ).get("/healthz").text == "native"
    assert int(program["stopwaitsecs"]) >= limits.GRACEFUL_TIMEOUT + 10


def test_the_image_s_command_serves_the_app_and_is_asked_for_its_health(start, settings):
    text = read_block("dockerfile")
    assert set(re.findall(r"^\w+", text, re.M)) <= INSTRUCTIONS
    environ = dict(pair.split("=", 1) for pair in " ".join(read_lines("ENV", text)).split())
    (health,) = read_lines("HEALTHCHECK", text)
    python, *ask = json.loads(health[health.index("CMD") + 3 :])
    (command,) = map(json.loads, read_lines("CMD", text))
    assert python == "python"
    with reserved_port() as port:
        host, _, documented = environ["WATERSPOUT_OPS_BIND"].rpartition(":")
        environ["WATERSPOUT_OPS_BIND"] = f"{host}:{port}"
        asked = [sys.executable, *(word.replace(documented, str(port)) for word in ask)]
        server = start(*command, listen=("--port", "0"), env=settings | environ)
        assert server.address[0] == "0.0.0.0"
        assert server.get("/healthz").text == "native"
        assert subprocess.run(asked, timeout=30, check=False).returncode == 0
        server.stop()
        assert subprocess.run(asked, timeout=30, check=False, capture_output=True).returncode != 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine")
def test_systemd_finds_nothing_to_complain_about(tmp_path):
    # Its program and folder are not on this machine; everything else is checked.
    text = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", read_block("ini"), flags=re.M)
    unit = tmp_path / "shop.service"
    unit.write_text(re.sub(r"^WorkingDirectory=.*", "WorkingDirectory=/", text, flags=re.M))
    command = ["systemd-analyze", "verify", "--man=no", str(unit)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
