"""The files in deploy/ are right, as far as can be told without a machine to deploy them to."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import click
import pytest

import handlers
from app.settings import ROOT, Settings
from waterspout.cli import make_serve_command
from waterspout.options import find_given

DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "waterspout-board.service"
SOCKET = DEPLOY / "waterspout-board.socket"
INSTRUCTIONS = {
    "CMD", "COPY", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR",
}  # fmt: skip
SERVICE = ("app", "handlers", "templates", "wsgi_app")


def logical_lines(path: Path) -> list[str]:
    """The lines of a file, continuations joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def instructions():
    return [tuple(line.split(maxsplit=1)) for line in logical_lines(DEPLOY / "Dockerfile")]


def read_unit(path):
    pairs: dict[str, list[str]] = {}
    for line in logical_lines(path):
        name, _, value = line.partition("=")
        pairs.setdefault(name, []).append(value)
    return pairs


@pytest.fixture(scope="module")
def unit():
    return read_unit(UNIT)


def values_of(instructions, name):
    return [value for word, value in instructions if word == name]


def take_serve_arguments(arguments):
    """Raise click's exception if `python -m app` would not take them."""
    command = make_serve_command("app.application:make_app()")
    return command.make_context("app", list(arguments), resilient_parsing=False)


def check_serve_arguments(arguments):
    return take_serve_arguments(arguments).params


def test_the_image_is_made_of_instructions_that_there_are(instructions):
    assert {word for word, _ in instructions} <= INSTRUCTIONS
    assert instructions[0][0] == "FROM"


def test_the_image_names_its_base_by_version(instructions):
    assert all(re.match(r"python:3\.\d+-slim\b", base) for base in values_of(instructions, "FROM"))


def test_the_image_copies_what_there_is_and_the_whole_service(instructions):
    copied = {value.split()[0] for value in values_of(instructions, "COPY") if "--from" not in value}
    assert copied - {"."} == set(SERVICE)
    assert all((ROOT / name).exists() for name in copied)


def test_what_the_image_needs_is_not_ignored():
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().split()
    kept = {line[1:] for line in lines if line.startswith("!")}
    assert lines[0] == "**"
    assert all((ROOT / name).exists() for name in kept)
    assert {*SERVICE, "waterspout", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"} == kept
    assert not any(fnmatch(name, pattern) for name in kept for pattern in lines[1:] if pattern[0] != "!")


def test_the_container_runs_as_nobody_in_particular(instructions):
    words = [word for word, _ in instructions]
    (user,) = values_of(instructions, "USER")
    assert int(user) > 0  # Kubernetes' runAsNonRoot accepts no name
    assert any(f"useradd --system --uid {user} " in value for value in values_of(instructions, "RUN"))
    assert words.index("USER") < words.index("CMD")


def test_the_container_serves_what_it_exposes_and_is_asked_for_its_health(instructions):
    (command,) = values_of(instructions, "CMD")
    program, *arguments = re.findall(r'"([^"]*)"', command)
    assert (program, *arguments[:2]) == ("python", "-m", "app")
    options = check_serve_arguments(arguments[2:])
    assert options["host"] == "0.0.0.0"
    assert values_of(instructions, "EXPOSE") == [str(options["port"])]
    (health,) = values_of(instructions, "HEALTHCHECK")
    assert re.findall(r"http://127\.0\.0\.1:(\d+)", health) == [str(options["port"])]
    assert "/healthz" in {rule.path for rule in handlers.routes}


class Asked(BaseHTTPRequestHandler):
    """200 for the path `server.healthy`, else 404; `server.asked`: the paths asked for."""

    def do_GET(self):
        self.server.asked.append(self.path)
        self.send_response(200 if self.path == self.server.healthy else 404)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("environ", [{}, {"http_proxy": "http://127.0.0.1:9"}])
@pytest.mark.parametrize("root", ["", "/status", "/status/"])
def test_the_container_s_health_is_asked_for_below_the_root_path_and_past_proxies(
    instructions, environ, root
):
    (health,) = values_of(instructions, "HEALTHCHECK")
    program, *arguments = json.loads(health[health.index("CMD") + 3 :])
    assert program == "python"
    with HTTPServer(("127.0.0.1", 0), Asked) as server:
        server.healthy, server.asked = root.rstrip("/") + "/healthz", []
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        arguments[1] = arguments[1].replace("8888", str(server.server_port))
        try:
            environ = environ | ({"WATERSPOUT_ROOT_PATH": root} if root else {})
            subprocess.run([sys.executable, *arguments], env=environ, timeout=30, check=True)
            server.healthy = "nowhere"
            ill = subprocess.run(
                [sys.executable, *arguments], env=environ, timeout=30, check=False, capture_output=True
            )
        finally:
            server.shutdown()
    assert ill.returncode != 0
    assert server.asked == [root.rstrip("/") + "/healthz"] * 2


def test_the_container_s_environment_is_one_that_the_board_takes(instructions):
    words = shlex.split(" ".join(values_of(instructions, "ENV")))
    environ = dict(word.split("=", 1) for word in words) | {"SECRET_KEY": "x" * 32}
    settings = Settings.from_environment(environ)
    assert settings.database_url.database.startswith(values_of(instructions, "VOLUME")[0] + "/")


def test_the_unit_s_command_and_environment_are_ones_that_the_board_takes(unit):
    (command,) = unit["ExecStart"]
    python, *arguments = command.split()
    assert python.startswith(unit["WorkingDirectory"][0] + "/.venv/")
    assert arguments[:2] == ["-m", "app"]
    assert check_serve_arguments(arguments[2:])["graceful_timeout"] < float(unit["TimeoutStopSec"][0])
    environ = dict(value.split("=", 1) for value in unit["Environment"]) | {"SECRET_KEY": "x" * 32}
    folder = Settings.from_environment(environ).folder
    assert folder == Path("/var/lib") / unit["StateDirectory"][0]


def test_a_wsgi_process_that_is_out_of_memory_does_not_end_the_server(unit):
    """It is replaced; systemd's default is to stop the whole unit for it."""
    assert unit["OOMPolicy"] == ["continue"]


def test_the_unit_takes_systemd_s_socket_and_without_one_listens_where_that_would(unit, monkeypatch):
    """An option that says where to listen would be used instead of systemd's socket."""
    for value in unit["Environment"]:
        monkeypatch.setenv(*value.split("=", 1))
    context = take_serve_arguments(unit["ExecStart"][0].split()[3:])
    assert not {"host", "port", "unix", "fd"} & find_given(context)
    (place,) = read_unit(SOCKET)["ListenStream"]
    assert place == f"{context.params['host']}:{context.params['port']}"
    assert f"server {place};" in (DEPLOY / "nginx.conf").read_text()
    assert SOCKET.stem == UNIT.stem  # that is how systemd knows which service it is for
    assert not {"Requires", "Sockets", "BindsTo"} & set(unit)


def test_an_option_that_there_is_not_would_be_noticed():
    with pytest.raises(click.NoSuchOption):
        check_serve_arguments(["--no-such-option"])


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze on this machine")
@pytest.mark.parametrize("names", [(UNIT,), (UNIT, SOCKET)])
def test_systemd_finds_nothing_to_complain_about(tmp_path, names):
    # Its program and folder are not on this machine; everything else is checked.
    for path in names:
        text = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", path.read_text(), flags=re.M)
        (tmp_path / path.name).write_text(
            re.sub(r"^WorkingDirectory=.*", "WorkingDirectory=/", text, flags=re.M)
        )
    command = ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / path.name) for path in names)]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


@pytest.mark.skipif(not shutil.which("nginx"), reason="no nginx on this machine")
def test_nginx_takes_its_configuration(tmp_path):
    # Without the certificate, which is not on this machine.
    text = re.sub(
        r"listen 443 ssl;|http2 on;|ssl_certificate\w* .*;", "", (DEPLOY / "nginx.conf").read_text()
    )
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {text} }}")
    command = ["nginx", "-t", "-q", "-e", "stderr", "-c", str(configuration)]
    tested = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (tested.returncode, tested.stdout + tested.stderr) == (0, "")
