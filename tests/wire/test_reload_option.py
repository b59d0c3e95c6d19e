"""`--reload`: what a developer changes is served without further action."""

import os
import re
import signal
import socket
import threading
import time

import pytest

from tests.server import ON_TORNADO, ROOT, StartError, new_id, poll, stat_of
from tests.wire.client import Cut
from tests.wire.test_listeners import connect_unix

WSGI = """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/template":
        return [open("templates/page.html", "rb").read()]
    return [b"{version} %d" % os.getppid()]
"""
NATIVE = """
from tornado.web import RequestHandler
import waterspout

class Version(RequestHandler):
    def get(self):
        self.write("{version}")

class Page(RequestHandler):
    def get(self):
        self.render("templates/page.html")

class Late(RequestHandler):
    def get(self):
        import my_late
        self.write(my_late.VERSION)

routes = [(r"/native", Version), ("/page", Page), ("/late", Late)]
"""
WAIT = 30


@pytest.fixture
def site(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "page.html").write_text("a page")
    (tmp_path / "my_wsgi.py").write_text(WSGI.format(version="one"))
    (tmp_path / "my_native.py").write_text(NATIVE.format(version="one"))
    return tmp_path


@pytest.fixture
def server(start_server, site):
    return start_server(
        *("--native", "my_native:routes", "--wsgi", "my_wsgi:app", "--reload"),
        cwd=site,
    )


def said(server, path, text, statuses=(200, 503)):
    """Whether the answer begins with this text, before long; no answer is lost meanwhile.

    A request that comes when a restarting server has stopped its lanes, but not yet its sockets, gets a 503.
    """

    def answer():
        try:
            reply = server.get(path)
        except Cut:
            assert ON_TORNADO
            return False
        assert reply.status in statuses
        return reply.text.startswith(text)

    return poll(answer, WAIT, 0.05)


def change(site, name, text, version):
    (site / name).write_text(text.format(version=version))


def test_a_changed_wsgi_module_is_loaded_and_native_connections_stay(server, site):
    kept = server.connect()
    assert kept.ask("GET", "/native").text == "one"
    change(site, "my_wsgi.py", WSGI, "second")
    assert said(server, "/", f"second {server.pid}", [200])
    assert kept.ask("GET", "/native").text == "one"
    assert "restarts" not in server.log


def test_a_changed_template_reloads_the_wsgi_app(server, site):
    [old] = server.wsgi_pids()
    (site / "templates" / "page.html").write_text("another page")
    assert poll(lambda: server.wsgi_pids() and old not in server.wsgi_pids(), WAIT)
    assert server.get("/template").text == "another page"


def test_a_changed_template_of_a_native_handler_is_read_again(server, site):
    assert server.get("/page").text == "a page"
    (site / "templates" / "page.html").write_text("another page")
    assert said(server, "/page", "another page")
    assert "restarts" not in server.log


def test_a_module_that_native_code_loads_as_it_serves_is_native_code(server, site):
    (site / "my_late.py").write_text("VERSION = 'one'")
    assert said(server, "/late", "one", (200, 500))
    (site / "my_late.py").write_text("VERSION = 'second'")
    assert said(server, "/late", "second")


def test_changed_native_code_restarts_the_server_on_the_same_sockets(server, site):
    with socket.create_connection(server.address, WAIT) as early:
        change(site, "my_native.py", NATIVE, "second")
        assert said(server, "/native", "second")
        change(site, "my_native.py", NATIVE, "third")
        assert said(server, "/native", "third")
        assert early.recv(1) == b""
    assert said(server, "/", f"one {server.pid}")
    ports = re.findall(r"serves http://127.0.0.1:(\d+)", server.log)
    assert len(ports) == 3
    assert len(set(ports)) == 1
    assert len(server.wsgi_pids()) == 1


STARTS = """
import multiprocessing, signal, time
from concurrent.futures import ProcessPoolExecutor
fork = multiprocessing.get_context("fork")
workers = ProcessPoolExecutor(1, fork)
def stay():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)

helper = fork.Process(target=stay, daemon=True)

class Started(RequestHandler):
    def get(self):
        if not helper.pid:
            helper.start()
            workers.submit(pow, 1, 1).result(20)
        self.write(" ".join(map(str, [helper.pid, *workers._processes])))

routes.append(("/started", Started))
"""


def test_processes_that_native_code_has_started_end_with_its_old_version(start_server, site):
    change(site, "my_native.py", NATIVE + STARTS, "one")
    server = start_server("--native", "my_native:routes", "--reload", cwd=site)
    started = [int(word) for word in server.get("/started").text.split()]
    assert len(started) == 2
    change(site, "my_native.py", NATIVE + STARTS, "second")
    assert said(server, "/native", "second")
    assert poll(lambda: not any(map(stat_of, started)), WAIT)  # no zombies, either


TRACKED = "import multiprocessing\nlock = multiprocessing.get_context('spawn').Lock()\n"


def test_what_has_ended_behind_a_restart_is_not_kept(start_server, site):
    """`multiprocessing` tracks such locks in a process of its own, which ends with the one that made it."""
    change(site, "my_native.py", TRACKED + NATIVE, "one")
    server = start_server("--native", "my_native:routes", "--reload", cwd=site)
    for version in ("second", "third", "fourth"):
        change(site, "my_native.py", TRACKED + NATIVE, version)
        assert said(server, "/native", version)
    of_all = [stat_of(name) for name in os.listdir("/proc") if name.isdecimal()]
    ended = [each for each in of_all if each is not None and each[:2] == ("Z", server.pid)]
    assert len(ended) <= 1  # of the last restart


def test_code_that_can_t_be_compiled_is_waited_for(server, site):
    (site / "my_native.py").write_text("def (:")
    assert server.log_lines("nothing is loaded until this is fixed", WAIT)
    assert server.get("/native").text == "one"
    change(site, "my_native.py", NATIVE, "second")
    assert said(server, "/native", "second")


def test_a_restart_that_fails_is_tried_again_after_the_next_change(server, site):
    (site / "my_native.py").write_text("import no_such_module_of_anybody")
    assert server.log_lines("waiting for a code change", WAIT)
    change(site, "my_native.py", NATIVE, "second")
    assert said(server, "/native", "second")
    server.stop()


#: Removes its own directory, and then becomes the server.
LEAVE = """
import os, sys
os.rmdir(os.getcwd())
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
GOES = """
import os
from pathlib import Path
os.chdir(Path(__file__).parent / "templates")
"""


def test_native_code_that_goes_to_another_directory_is_restarted_in_the_first(start_server, site):
    change(site, "my_native.py", GOES + NATIVE, "one")
    server = start_server("--native", "my_native:routes", "--reload", cwd=site)
    for version in ("second", "third"):
        change(site, "my_native.py", GOES + NATIVE, version)
        assert said(server, "/native", version)
    assert server.log_lines("INFO waterspout.reload my_native.py changed")


@pytest.mark.parametrize("named", [True, False])
def test_a_directory_that_is_gone_is_not_watched(start_server, site, tmp_path_factory, named):
    gone = tmp_path_factory.mktemp("gone")
    env = {"PYTHONPATH": f"{ROOT}:{site}", "PWD": str(gone) if named else ""}
    words = "--native", "my_native:routes", "--reload"
    server = start_server(*words, cwd=gone, python=("-c", LEAVE), env=env)
    change(site, "my_native.py", NATIVE, "second")
    assert said(server, "/native", "second")
    server.stop()


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_unix_socket_outlives_restarts_that_fail(start_server, site, is_removed):
    server = start_server(
        *("--native", "my_native:routes", "--wsgi", "my_wsgi:app", "--wsgi-workers", "0", "--reload"),
        listen=("--unix", "s"),
        cwd=site,
    )
    path = site / "s"
    (site / "my_wsgi.py").write_text("raise ValueError")
    assert server.log_lines("waiting for a code change", WAIT)
    assert path.is_socket()
    if is_removed:
        path.unlink()  # then no client gets in, and the server goes on
    change(site, "my_wsgi.py", WSGI, "second")
    assert server.log_lines("serves unix:", WAIT, 2)
    if not is_removed:
        with connect_unix(path) as connection:
            assert connection.ask("GET", "/").text.startswith("second")
    server.stop()
    assert not path.exists()


STARTING = """
import waterspout
from my_native import routes

class Shop(waterspout.Application):
    async def start(self):
        await super().start()
        {start}

    async def stop(self, timeout=None):
        await super().stop(timeout)
        {stop}

app = Shop(native=routes, wsgi="my_wsgi:app")
"""
RAISES = "raise RuntimeError('no redis')"


@pytest.fixture
def start_shop(start_server, site):
    """A server of an application with a start and a stop of its own."""

    def start(first="pass", last="pass", listen=None):
        (site / "my_shop.py").write_text(STARTING.format(start=first, stop=last))
        return start_server("my_shop:app", "--reload", cwd=site, listen=listen)

    return start


def test_a_start_that_raises_behind_a_change_waits_for_the_next(start_shop, site):
    server = start_shop()
    (site / "my_shop.py").write_text(STARTING.format(start=RAISES, stop="pass"))
    assert server.log_lines("waiting for a code change", WAIT)
    assert server.log_lines("RuntimeError: no redis")
    (site / "my_shop.py").write_text(STARTING.format(start="pass", stop="pass"))
    assert said(server, "/native", "one")
    server.stop()


def test_who_waits_for_a_change_can_be_stopped(start_shop, site):
    server = start_shop(listen=("--unix", "s"))
    (site / "my_shop.py").write_text(STARTING.format(start=RAISES, stop="pass"))
    assert server.log_lines("waiting for a code change", WAIT)
    assert (site / "s").is_socket()
    server.stop()
    assert server.log_lines("stopped (SIGTERM): was waiting for a code change")
    assert not (site / "s").exists()


def test_a_stop_that_raises_keeps_nobody_from_the_restart(start_shop, site):
    server = start_shop(last=RAISES)
    change(site, "my_native.py", NATIVE, "second")
    assert said(server, "/native", "second")
    assert server.log_lines("RuntimeError: no redis")


SLOW = """
import asyncio
from tornado.web import RequestHandler

class Slow(RequestHandler):
    async def get(self):
        self.write("begun")
        await self.flush()
        await asyncio.sleep(60)

routes = [(r"/native", Slow)]
# {version}
"""


def test_the_first_signal_during_a_restart_is_a_stop_and_no_second_one(start_server, site):
    change(site, "my_native.py", SLOW, "one")
    server = start_server(
        *("--native", "my_native:routes", "--reload", "--graceful-timeout", "10"),
        cwd=site,
    )
    with server.connect() as connection:
        connection.send_request("GET", "/native")
        assert connection.next_chunk(connection.head()) == b"begun"
        change(site, "my_native.py", SLOW, "second")
        assert server.log_lines("the server restarts", WAIT)
        time.sleep(0.5)  # it waits for the reply: 2 s, or 10 if it is told to stop before that
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
    assert server.log_lines("stopping (SIGTERM): ")
    assert server.log.count(" serves ") == 1


@pytest.fixture
def noise(site):
    """A log beside the code, to which lines are written all the time."""
    over = threading.Event()

    def write():
        with (site / "site.log").open("a") as log:
            while not over.wait(0.01):
                print("a line", file=log, flush=True)

    thread = threading.Thread(target=write)
    thread.start()
    yield
    over.set()
    thread.join()


def test_what_changes_while_code_is_loaded_is_seen_whatever_is_written_beside_it(server, site, noise):
    slow = 'import time\nopen("begun", "w").close()\ntime.sleep(1)\n'
    (site / "my_native.py").write_text(f"{slow}raise ValueError")
    assert poll((site / "begun").exists, WAIT)
    (site / "my_native.py").write_text(f"{slow}{NATIVE.format(version='second')}")  # no watcher is there yet
    assert said(server, "/native", "second")
    (site / "begun").unlink()
    change(site, "my_native.py", NATIVE, "third")
    assert said(server, "/native", "third")


def test_without_watchfiles_it_says_what_to_install(start_server, site):
    (site / "watchfiles.py").write_text("raise ImportError")
    with pytest.raises(StartError, match=r"exit code 2.*\n.*--reload needs watchfiles: pip install"):
        start_server("--wsgi", "my_wsgi:app", "--reload", cwd=site)


def test_threads_are_restarted_with_everything(start_server, site):
    server = start_server(
        *("--wsgi", "my_wsgi:app", "--reload", "--wsgi-workers", "0"),
        cwd=site,
    )
    change(site, "my_wsgi.py", WSGI, "second")
    assert said(server, f"/?{new_id()}", "second")
    assert server.log_lines("the server restarts")
