"""A start, or a stop, that fails still ends: it says why at once, and nothing holds it up."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial

import pytest

from tests.server import ROOT, environment, poll, without_waiting
from waterspout.limits import LOOP_STANDS, SAME_SIGNAL

#: `{begun}`: what the application has started by then; `{first}`, `{last}`: what fails.
SHOP = """
import asyncio, sys, threading, time
import waterspout

class Shop(waterspout.Application):
    async def start(self):
        {begun}
        await asyncio.sleep(0.1)
        {first}
        await super().start()

    async def stop(self, timeout=None):
        await super().stop(timeout)
        {last}

    async def go_on(self):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                pass

app = Shop(native=[], wsgi="{wsgi}")
"""
BEGUN = {
    "a thread": "threading.Thread(target=time.sleep, args=(60,)).start()",
    "a task": "self.task = asyncio.create_task(self.go_on())",
    "a call": "self.call = asyncio.create_task(asyncio.to_thread(time.sleep, 60))",
}
WSGI = "tests.apps.working:app"
#: Longer than a slow machine takes for a start and EXIT_GRACE, and shorter than what keeps running.
PATIENCE = 40


@pytest.fixture
def run(tmp_path):
    """Run a server that can't start, until its end: (exit code, what it logged)."""

    def run(wsgi=WSGI, begun="pass", first="pass"):
        (tmp_path / "broken.py").write_text("raise ValueError('no database')")
        (tmp_path / "shop.py").write_text(SHOP.format(begun=begun, first=first, last="pass", wsgi=wsgi))
        done = subprocess.run(
            [sys.executable, "-m", "waterspout", "serve", "shop:app", "--port", "0"],
            cwd=tmp_path,
            env=environment(tmp_path, None),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, without_waiting(done.stderr)

    return run


def test_an_older_tornado_is_named(tmp_path):
    """As pip leaves it behind when something else wants that one."""
    needed = re.search(r"tornado >= (\S+)", (ROOT / "setup.cfg").read_text())[1]
    (tmp_path / "tornado").mkdir()
    (tmp_path / "tornado/__init__.py").write_text("version = '6.5.10'\nversion_info = (6, 5, 10, 0)")
    done = subprocess.run(
        [sys.executable, "-m", "waterspout", "serve", "--wsgi", WSGI],
        env=environment(tmp_path, None) | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"waterspout: this is Tornado 6.5.10 ({tmp_path}/tornado), and {needed} or newer is needed: "
        f"{sys.executable} -m pip install 'tornado>={needed}'\n"
    )


@pytest.mark.parametrize("begun", BEGUN.values(), ids=BEGUN)
def test_an_app_that_can_t_be_loaded_ends_the_start_whatever_that_has_begun(run, begun):
    code, said = run("broken:app", begun)
    assert code == 3
    first, *_, last = said.splitlines()
    assert "ValueError: no database" in first
    assert last.endswith(": the graceful timeout is over")


@pytest.mark.parametrize("first", ["raise ConnectionError('no redis')", "sys.exit('no redis')"])
def test_a_start_that_raises_ends_whatever_it_has_begun(run, first):
    code, said = run(begun=BEGUN["a thread"], first=first)
    assert code == 1
    assert said.index("no redis") < said.index("threads started by the app are still running (Thread-")
    assert said.count("Traceback") == 1


def test_where_nothing_is_left_a_start_that_raises_ends_at_once(run):
    code, said = run(first="raise ConnectionError('no redis')")
    assert code == 1
    assert said.rstrip().endswith("ConnectionError: no redis")


def test_a_stop_that_raises_ends_with_the_graceful_timeout(start_server, tmp_path):
    text = SHOP.format(
        begun=BEGUN["a thread"], first="pass", last="raise ConnectionError('no redis')", wsgi=WSGI
    )
    (tmp_path / "shop.py").write_text(text)
    server = start_server("shop:app", "--graceful-timeout", "1", cwd=tmp_path)
    server.signal(signal.SIGTERM)
    assert poll(lambda: "ConnectionError: no redis" in server.log)
    assert server.wait(PATIENCE) == 1
    assert server.log_lines("threads started by the app are still running (Thread-")


@pytest.mark.parametrize(
    ("hangs", "code", "said"),
    [
        ("await asyncio.Event().wait()", 0, "the application's stop() is cancelled"),
        ("await self.go_on()", 0, "the application's stop() is cancelled"),
        ("time.sleep(60)", 1, "the event loop does not stop"),
    ],
    ids=["that waits", "that can't be cancelled", "that blocks"],
)
def test_a_stop_that_hangs_ends_and_the_log_says_where(start_server, tmp_path, hangs, code, said):
    (tmp_path / "shop.py").write_text(SHOP.format(begun="pass", first="pass", last=hangs, wsgi=WSGI))
    server = start_server("shop:app", "--graceful-timeout", "0.5", cwd=tmp_path)
    server.signal(signal.SIGTERM)
    assert server.wait(PATIENCE) == code
    [line] = server.log_lines(said)
    assert "currently at shop.py:" in line


def test_a_restart_is_not_held_up_by_a_stop_that_hangs(start_server, tmp_path):
    def write(last):
        (tmp_path / "shop.py").write_text(SHOP.format(begun="pass", first="pass", last=last, wsgi=WSGI))

    write("await asyncio.Event().wait()")
    server = start_server("shop:app", "--reload", "--graceful-timeout", "0.5", cwd=tmp_path)
    write("pass")
    assert server.log_lines("the application's stop() is cancelled", PATIENCE)
    assert len(server.log_lines(" serves http://", PATIENCE, enough=2)) == 2
    assert server.get("/canary?id=x").status == 200


def read_health(path):
    """The status and the JSON that /-/health gives at this UNIX socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(path))
        client.sendall(b"GET /-/health HTTP/1.0\r\n\r\n")
        head, _, body = b"".join(iter(partial(client.recv, 4096), b"")).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)


@pytest.fixture
def begin(tmp_path):
    """Starts a server that may never serve: its process, its log, and its operations address."""
    begun = []

    def begin(*words, first, wsgi=f'"{WSGI}"'):
        text = SHOP.format(begun="pass", first=first, last="pass", wsgi=WSGI)
        (tmp_path / "shop.py").write_text(text.replace(f'"{WSGI}"', wsgi))
        log, ops = tmp_path / "log", tmp_path / "ops"
        words = ("shop:app", "--port", "0", "--ops-bind", f"unix:{ops}", *words)
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "waterspout", "serve", *words],
                cwd=tmp_path,
                env=environment(tmp_path, None),
                stderr=stderr,
            )
        begun.append(process)
        return process, log, ops

    yield begin
    for process in begun:
        process.kill()
        process.wait(PATIENCE)


@pytest.mark.parametrize("wsgi", [f'"{WSGI}"', "None"], ids=["behind the pools", "without an app"])
def test_a_start_that_waits_is_named_and_no_server_is_healthy_in_it(begin, wsgi):
    process, log, ops = begin(first="await super().start(); await asyncio.Event().wait()", wsgi=wsgi)
    assert poll(lambda: "waiting for the application's start()" in log.read_text(), PATIENCE)
    assert "currently at shop.py:" in log.read_text()
    status, told = read_health(ops)
    assert (status, told["starting"], told["down"]) == (503, True, [])
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert "stopping (SIGTERM): start() is still under way" in log.read_text()


def test_so_is_one_that_goes_on_when_it_is_told_to_stop_before(begin, tmp_path):
    process, log, _ = begin(first="open('begun', 'w').close(); await self.go_on()", wsgi="None")
    assert poll((tmp_path / "begun").exists, PATIENCE)
    process.terminate()
    assert poll(lambda: "stopping (SIGTERM): start() is still under way" in log.read_text(), PATIENCE)
    assert poll(lambda: "waiting for the application's start(); currently at shop.py:" in log.read_text())


#: The second process to load it is slow.
UNEVEN = """
import os, time
try:
    os.close(os.open("first", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    time.sleep(5)
from tests.apps.working import app
"""


def test_the_slower_of_two_processes_is_no_start_of_the_application_s(begin, tmp_path):
    (tmp_path / "uneven.py").write_text(UNEVEN)
    process, log, _ = begin("--wsgi-workers", "2", first="pass", wsgi='"uneven:app"')
    assert poll(lambda: " serves http" in log.read_text(), PATIENCE)
    assert "waiting for the WSGI app to load" in log.read_text()
    assert "the application's start()" not in log.read_text()
    process.terminate()
    assert process.wait(PATIENCE) == 0


#: Waits in C for a lock that it holds itself: no signal handler in Python runs meanwhile.
LOCKED = (
    "import sqlite3; held = [sqlite3.connect('shop.db', timeout=60) for _ in range(2)]; "
    "[each.execute('BEGIN EXCLUSIVE') for each in held]"
)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("first", ["time.sleep(60)", LOCKED], ids=["in Python", "in C"])
def test_a_start_that_blocks_the_loop_is_named_and_the_second_signal_ends_it(begin, loop, first):
    def says(text):
        return poll(lambda: f"{text}; currently at shop.py:" in log.read_text(), PATIENCE)

    process, log, ops = begin("--loop", loop, first=first, wsgi="None")
    assert says("waiting for the application's start()")
    process.terminate()
    assert says("told to stop, but the event loop is blocked (a second SIGTERM or SIGINT ends it at once)")
    process.terminate()
    assert process.wait(PATIENCE) == 1
    assert says("second stop signal (SIGTERM): ending at once; the event loop is blocked")
    assert not ops.exists()


def test_a_start_that_blocked_and_is_over_is_not_waited_for(begin):
    """On asyncio, what became due meanwhile runs before the end of the start is seen."""
    process, log, _ = begin("--loop", "asyncio", first="time.sleep(4)", wsgi="None")
    assert poll(lambda: " serves http" in log.read_text(), PATIENCE)
    assert log.read_text().count("the application's start()") == 1
    process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_server_that_stands_in_its_log_is_ended_by_the_second_signal(tmp_path, loop):
    """Its stderr is a pipe that nobody reads."""
    words = ("--native", "tests.apps.natives:routes", "--port", "0", "--loop", loop)
    process = subprocess.Popen(
        [sys.executable, "-m", "waterspout", "serve", *words],
        env=environment(tmp_path, None),
        stderr=subprocess.PIPE,
    )
    try:
        port = int(re.search(rb"http://127\.0\.0\.1:(\d+)", process.stderr.readline())[1])
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client, suppress(TimeoutError):
            for _ in range(5000):
                client.sendall(b"GET /native/ping?%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"x" * 300))
                assert client.recv(65536)
        process.terminate()
        time.sleep(LOOP_STANDS + SAME_SIGNAL + 0.5)
        assert process.poll() is None
        process.terminate()
        assert process.wait(PATIENCE) == 1
    finally:
        process.kill()
        process.wait(PATIENCE)
        process.stderr.close()


@pytest.mark.parametrize("listens", ["", "yes"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_handler_that_blocks_the_loop_is_ended_by_the_second_signal(start_server, loop, listens):
    server = start_server("--native", "tests.apps.natives:routes", "--loop", loop)
    with server.connect() as connection:
        connection.send_request("GET", f"/native/block?seconds=60&listens={listens}")
        assert server.log_lines("the event loop has been blocked for ")
        server.signal(signal.SIGTERM)
        [line] = server.log_lines("told to stop, but the event loop is blocked")
        assert "natives.py:" in line
        server.signal(signal.SIGINT)
        assert server.wait(PATIENCE) == 1
