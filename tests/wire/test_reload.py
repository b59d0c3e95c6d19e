"""SIGHUP: new WSGI processes with the current code take over, and nobody notices."""

import os
import pty
import signal
import time

import pytest

from tests.server import new_id, poll
from waterspout.limits import RELOAD_ANEW

APP = """
import os
from tests.apps.working import app as working

def app(environ, start_response):
    if environ["PATH_INFO"] == "/version":
        start_response("200 OK", [("Content-Length", "{length}")])
        return [b"{version}"]
    return working(environ, start_response)
"""
SERVE = ("--native", "tests.apps.natives:routes", "--wsgi", "versioned:app")
#: Code that makes the file `held`, and loads no further until the file `gate` exists, or for a bounded time.
HELD = """
import pathlib, time
pathlib.Path("held").touch()
deadline = time.monotonic() + 20
while not pathlib.Path("gate").exists() and time.monotonic() < deadline:
    time.sleep(0.01)
"""


@pytest.fixture
def site(tmp_path):
    """A folder with an app in it: `site("two")` writes its next version."""

    def write(version):
        text = APP.format(version=version, length=len(version))
        fresh = tmp_path / "versioned.new"
        fresh.write_text(f"{text}\n{write.hold}\n")
        fresh.replace(tmp_path / "versioned.py")  # atomically: a load at this moment sees one or the other

    write.folder = tmp_path
    write.hold = ""
    write("one")
    return write


@pytest.fixture
def start(start_server, site):
    def start(*options, form="process", **others):
        return start_server(*SERVE, *options, form=form, cwd=site.folder, **others)

    return start


def version(server):
    return server.get("/version").text


def test_a_reload_brings_new_code_and_keeps_native_connections(start, site):
    server = start("--wsgi-workers", "2", form=None)
    old = server.wsgi_pids()
    events = server.connect()
    events.send_request("GET", "/native/events?topic=x")
    events.next_chunk(events.head())
    site("second")
    server.signal(signal.SIGHUP)
    assert server.log_lines("have taken over", 10)
    assert {version(server) for _ in range(8)} == {"second"}
    assert poll(lambda: not set(old) & set(server.wsgi_pids()))
    assert len(server.wsgi_pids()) == 2
    assert events.is_silent(0.2)


def test_native_code_that_has_changed_is_told(start_server, tmp_path):
    """By the names of its files, which lead to another release by now."""
    releases = [tmp_path / name for name in ("one", "second")]
    for release in releases:
        release.mkdir()
        (release / "shared.py").write_text(f"RELEASE = {release.name!r}")
        (release / "same.py").write_text("")
        (release / "web.py").write_text("from tests.apps.working import app")
        (release / "site_routes.py").write_text("import same, shared\nroutes = []")
    current = tmp_path / "current"
    current.symlink_to(releases[0])
    words = ("--native", "site_routes:routes", "--wsgi", "web:app")
    server = start_server(*words, cwd=current, env={"PWD": str(current)})

    def reload(count):
        server.signal(signal.SIGHUP)
        assert poll(lambda: len(server.log_lines("have taken over", 10)) == count)

    reload(1)
    assert "native code" not in server.log
    current.unlink()
    current.symlink_to(releases[1])
    reload(2)
    [line] = server.log_lines("native code has changed since the start (")
    assert line.endswith("(shared.py): a restart loads it")


def test_native_code_that_is_installed_is_told_too(start_server, tmp_path):
    """As `pip install -U shop` does it."""
    home = tmp_path / "site-packages"
    shop, other = home / "shop", home / "other"
    for folder in (shop, other):
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("")
        (folder / "prices.py").write_text("PRICE = 1")
    (shop / "native.py").write_text("from other import prices\nfrom shop import prices\nroutes = []")
    words = ("--native", "shop.native:routes", "--wsgi", "tests.apps.working:app")
    server = start_server(*words, env={"PYTHONPATH": str(home)})
    (shop / "prices.py").write_text("PRICE = 2")
    (other / "prices.py").write_text("PRICE = 2")  # a library's
    server.signal(signal.SIGHUP)
    [line] = server.log_lines("native code has changed since the start (", 10)
    assert line.endswith(f"({os.path.relpath(shop / 'prices.py', os.getcwd())}): a restart loads it")


def test_what_runs_is_finished_by_the_old_code(start, site):
    server = start()
    ident, running = new_id(), server.connect()
    running.send_request("GET", f"/gated?id={ident}")
    old = server.wait_for_note("ran", ident)["pid"]
    site("second")
    server.signal(signal.SIGHUP)
    assert server.log_lines("have taken over", 10)
    assert version(server) == "second"
    server.open_gate(ident)
    assert running.reply().text == f"done {ident}"
    assert poll(lambda: old not in server.wsgi_pids())


def test_what_does_not_end_within_the_graceful_timeout_is_cut(start):
    server = start("--graceful-timeout", "0.5")
    ident, running = new_id(), server.connect()
    running.send_request("GET", f"/gated?id={ident}")
    old = server.wait_for_note("ran", ident)["pid"]
    server.signal(signal.SIGHUP)
    assert running.reply().status == 502
    assert server.log_lines("requests are cut off (1)")
    assert server.log_lines(ident)[-1].endswith(" stopped")
    assert poll(lambda: old not in server.wsgi_pids())


def test_if_the_new_code_can_t_be_loaded_the_old_processes_stay(start, site):
    server = start()
    [old] = server.wsgi_pids()
    (site.folder / "versioned.py").write_text("import no_such_module_of_anybody\n")
    server.signal(signal.SIGHUP)
    [line] = server.log_lines("the old WSGI processes stay", 10)
    assert "no_such_module_of_anybody" in line
    assert version(server) == "one"
    assert server.wsgi_pids() == [old]
    site("third")
    server.signal(signal.SIGHUP)
    assert poll(lambda: version(server) == "third", 10)


def test_signals_during_a_reload_ask_for_one_more_behind_it(start, site):
    server = start()
    site.hold = HELD
    site("first")
    server.signal(signal.SIGHUP)
    assert server.log_lines("reload: starting")
    for _ in range(5):
        server.signal(signal.SIGHUP)
        time.sleep(0.02)
    assert server.log_lines("reload: one is under way; another will follow it")
    site("last")
    server.signal(signal.SIGHUP)
    (site.folder / "gate").touch()
    assert poll(lambda: version(server) == "last")
    assert len(server.log_lines("have taken over", enough=2)) == 2
    time.sleep(0.3)
    assert len(server.log_lines("reload: starting")) == 2


def test_a_signal_ends_new_processes_that_hang_and_loads_the_code_again(start, site):
    server = start()
    site.hold = HELD
    site("first")
    server.signal(signal.SIGHUP)
    assert poll((site.folder / "held").exists)
    time.sleep(RELOAD_ANEW + 0.5)
    site.hold = ""
    site("last")
    server.signal(signal.SIGHUP)
    assert server.log_lines(" s: killing it and loading the code again")
    assert poll(lambda: version(server) == "last")
    assert len(server.log_lines("have taken over")) == 1
    assert poll(lambda: len(server.wsgi_pids()) == 1)


def test_threads_can_t_be_reloaded_and_that_is_said(start):
    server = start(form="threads")
    server.signal(signal.SIGHUP)
    assert server.log_lines("can't be reloaded")
    assert version(server) == "one"


def test_a_server_without_a_wsgi_app_has_nothing_to_reload(start_server):
    server = start_server("--native", "tests.apps.natives:routes")
    server.signal(signal.SIGHUP)
    assert server.log_lines("there is no WSGI app to reload")
    assert server.get("/native/ping").text == "pong"


STATIC = """
import waterspout
from tornado.web import RequestHandler

class Page(RequestHandler):
    def get(self):
        self.write(self.static_url("site.css"))

class Rendered(RequestHandler):
    def get(self):
        self.render("rendered.html")

app = waterspout.Application(
    native=[("/page", Page), ("/rendered", Rendered)],
    wsgi="versioned:app",
    static_path="static",
    template_path="templates",
)
"""


def test_static_files_that_were_deployed_have_their_new_versions(start_server, site):
    (site.folder / "site_native.py").write_text(STATIC)
    (site.folder / "static").mkdir()
    (site.folder / "static" / "site.css").write_text("old")
    server = start_server("site_native:app", cwd=site.folder)
    old = server.get("/page").text
    (site.folder / "static" / "site.css").write_text("new")
    server.signal(signal.SIGHUP)
    new = poll(lambda: (text := server.get("/page").text) != old and text)
    assert new.startswith("/static/site.css?v=")


def test_templates_that_were_deployed_are_read_again(start_server, site):
    """Native handlers may render them, too."""
    (site.folder / "site_native.py").write_text(STATIC)
    (site.folder / "templates").mkdir()
    (site.folder / "templates" / "rendered.html").write_text("old")
    server = start_server("site_native:app", cwd=site.folder)
    assert server.get("/rendered").text == "old"
    (site.folder / "templates" / "rendered.html").write_text("new")
    assert server.get("/rendered").text == "old"
    server.signal(signal.SIGHUP)
    assert poll(lambda: server.get("/rendered").text == "new")


STOCK = """
import waterspout
from tornado.web import Application, FallbackHandler

container = waterspout.Container("versioned:app")
app = Application([(".*", FallbackHandler, {"fallback": container})])
"""


def test_the_container_of_a_stock_application_is_reloaded_too(start_server, site):
    (site.folder / "stock.py").write_text(STOCK)
    server = start_server("stock:app", cwd=site.folder)
    assert version(server) == "one"
    site("two")
    server.signal(signal.SIGHUP)
    assert poll(lambda: version(server) == "two", 20)
    server.stop()


def start_on_terminal(start, **options):
    """A server whose stdin is a terminal, and that terminal's other end."""
    ours, theirs = pty.openpty()
    try:
        return start(stdin=theirs, **options), ours
    finally:
        os.close(theirs)


def test_a_terminal_that_closes_stops_its_server(start):
    server, ours = start_on_terminal(start, terminal=True)
    os.close(ours)  # the kernel sends it SIGHUP
    assert server.wait() == 0
    assert server.log_lines("stopping (SIGHUP)")


def test_while_its_terminal_is_there_sighup_reloads(start, site):
    server, ours = start_on_terminal(start, terminal=True)
    site("two!")
    server.signal(signal.SIGHUP)
    assert poll(lambda: version(server) == "two!", 20)
    os.close(ours)
    assert server.wait() == 0


def test_a_terminal_that_closes_and_is_another_session_s_keeps_nobody_from_a_reload(start, site):
    """`setsid waterspout serve`: the end of that terminal is never signalled to it."""
    server, ours = start_on_terminal(start)
    os.close(ours)
    site("two!")
    server.signal(signal.SIGHUP)
    assert poll(lambda: version(server) == "two!", 20)
    server.stop()
