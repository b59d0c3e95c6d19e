"""What a server may meet where it starts, and what must not matter."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server import (
    ON_TORNADO,
    ROOT,
    choose_combination,
    environment,
    freeze,
    is_alive,
    new_id,
    poll,
    reserved_port,
)
from tests.wire.client import Connection

APP = "tests.apps.surroundings"


class Started:
    """A server that a shell starts, on a given port."""

    def __init__(self, folder, port, *words, redirections=""):
        self.port = port
        options = [*words, *choose_combination(), "--port", str(port)]
        command = [sys.executable, "-m", "waterspout", "serve", *options]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", f'exec "$@" {redirections}', "sh", *command],
                cwd=ROOT,
                env=environment(folder, {"PYTHONUNBUFFERED": ""}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )

    def is_up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 5).close()
        except ConnectionRefusedError:
            return self.process.poll() is not None
        return True

    def get(self, target):
        with Connection(("127.0.0.1", self.port)) as connection:
            return connection.ask("GET", target)


@pytest.fixture
def run(tmp_path):
    started = []
    with reserved_port() as port:

        def start(*words, **options):
            started.append(Started(tmp_path, port, *words, **options))
            return started[-1]

        yield start
        for server in started:
            if server.process.poll() is None:
                os.killpg(server.process.pid, signal.SIGKILL)
                server.process.wait(20)


@pytest.mark.parametrize("redirections", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1"])
def test_streams_that_are_closed_or_full(run, redirections):
    server = run("--wsgi", f"{APP}:app", redirections=redirections)
    assert poll(server.is_up, 30)
    if "full" not in redirections:  # there the view's own write fails, and raises in the view
        reply = server.get("/")
        assert reply.status == 200
        assert "2>&-" not in redirections or reply.text.split()[2].startswith("/dev/")
    server.process.terminate()
    assert server.process.wait(20) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_that_come_before_anything_is_loaded(run, tmp_path, number):
    server = run("--native", "tests.apps.slow_natives:routes")
    assert poll((tmp_path / "loading").exists, 30)
    server.process.send_signal(number)
    if number == signal.SIGTERM:
        assert server.process.wait(20) == 0
    else:
        assert poll(server.is_up, 30)
        assert server.process.poll() is None
        assert b"still loading" in (tmp_path / "log").read_bytes()


def test_lanes_that_can_not_have_threads_are_done_without(run, tmp_path):
    server = run("--wsgi", f"{APP}:load_with_few_threads()", "--wsgi-threads", "4")
    log = tmp_path / "log"
    assert poll(lambda: b"can't start new thread: only 2 of 4 lanes serve" in log.read_bytes(), 30)
    time.sleep(1)
    assert [server.get("/").status for _ in range(20)] == [200] * 20
    assert b"Traceback" not in log.read_bytes()
    assert log.read_bytes().count(b"of 4 lanes serve") == 1


def test_lanes_that_can_have_threads_later_are_said(run, tmp_path):
    run("--wsgi", f"{APP}:load_with_no_threads()", "--wsgi-threads", "4")
    log = tmp_path / "log"
    assert poll(lambda: b"only 0 of 4 lanes serve" in log.read_bytes(), 30)
    (tmp_path / "enough").touch()
    assert poll(lambda: b"all of its 4 lanes serve by now" in log.read_bytes())


def test_who_waits_for_lanes_that_can_not_have_threads_is_told_in_time(run):
    """Each time that such a lane is given up, the request's waiting time goes on."""
    words = ("--wsgi-threads", "4", "--wsgi-queue-timeout", "3")
    server = run("--wsgi", f"{APP}:load_with_no_threads()", *words)
    assert poll(server.is_up, 30)
    began = time.monotonic()
    with Connection(("127.0.0.1", server.port), timeout=30) as connection:
        reply = connection.ask("GET", "/")
    assert (reply.status, reply.header("Retry-After")) == (503, "1")
    assert time.monotonic() - began < 6  # 7.5, if each lane restarted it


def test_a_server_whose_own_threads_are_too_few_says_so_and_can_not_serve(run, tmp_path):
    server = run("--wsgi", f"{APP}:load_with_few_threads()", "--wsgi-threads", "4", "--wsgi-workers", "0")
    assert server.process.wait(30) == 1
    [line] = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("waterspout: can't start new thread: only 2 of 4 lanes could be opened; allow")


def test_a_wsgi_process_has_a_name_of_its_own_and_the_server_keeps_its(start_server):
    server = start_server("--wsgi", f"{APP}:app", form="process")
    [wsgi] = server.wsgi_pids()
    names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in (wsgi, server.pid)]
    assert names[0] == "waterspout-wsgi"
    assert not names[1].startswith("waterspout")


def test_a_helper_that_the_app_forks_as_it_is_loaded_does_not_keep_the_port(run, tmp_path):
    server = run("--wsgi", f"{APP}:load_with_a_helper()", "--wsgi-workers", "0")
    assert poll(lambda: b"serves" in (tmp_path / "log").read_bytes(), 30)
    server.process.terminate()
    assert server.process.wait(20) == 0
    helper = int((tmp_path / "helper").read_text())
    try:
        assert is_alive(helper)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), 5)
    finally:
        os.kill(helper, signal.SIGKILL)


@pytest.mark.skipif(ON_TORNADO, reason="Tornado's server has timers of its own: docs/behaviour.md")
def test_who_sent_while_the_server_stood_still_is_answered(start_server, form):
    """A process that is stopped, a machine that is frozen: its clients were not late."""
    limits = ("--keep-alive-timeout", "2", "--head-timeout", "2", "--body-timeout", "2")
    server = start_server("--wsgi", "tests.apps.working:app", *limits, form=form)
    kept, half, upload = (server.connect() for _ in range(3))
    server.canary(kept)
    ident = new_id()
    half.send(f"GET /canary?id={ident} HTTP/1.1\r\n".encode())
    upload.send_head("POST", f"/canary?id={ident}", [("Content-Length", "2")])
    upload.send(b"a")
    time.sleep(0.5)
    freeze(server.pid)
    try:
        time.sleep(0.2)
        kept.send_request("GET", f"/canary?id={ident}")
        half.send(b"Host: a\r\n\r\n")
        upload.send(b"b")
        time.sleep(4)
    finally:
        server.signal(signal.SIGCONT)
    for connection in (kept, half, upload):
        assert connection.reply().status == 200
