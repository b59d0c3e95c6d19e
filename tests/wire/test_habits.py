"""What apps do that must not affect the server, and what they do that it must not lose."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.server import FORMS, ON_TORNADO, ROOT, StartError, has_ended, is_alive, new_id, poll
from tests.wire.client import Connection

APP = "tests.apps.habits:load()"


@pytest.fixture(params=FORMS)
def start(request, start_server):
    """A server of the app with this habit."""

    def start(*arguments, habit="", target=APP, **options):
        env = {"HABIT": habit, **options.pop("env", {})}
        return start_server("--wsgi", target, *arguments, form=request.param, env=env, **options)

    start.form = request.param
    return start


def test_a_default_timeout_of_sockets_is_the_app_s_own(start):
    server = start("--wsgi-threads", "1", habit="timeout")
    time.sleep(1.5)  # an idle lane waits longer than that
    assert server.get("/slowly").text == "0;1;2;3;"
    server.canary()
    server.stop()


def test_an_app_that_configures_logging_does_not_silence_the_server(start):
    server = start(habit="logging")
    assert server.get("/slowly?mark").status == 200
    assert server.log_lines("/slowly?mark 200")
    server.stop()


STARTING = """
import logging.config

import waterspout
from tests.apps.natives import routes

class Shop(waterspout.Application):
    async def start(self):
        await super().start()
        logging.config.dictConfig({"version": 1})

app = Shop(native=routes, wsgi="tests.apps.habits:load()")
"""


def test_an_application_that_configures_logging_as_it_starts_does_not_silence_the_server(
    start_server, tmp_path
):
    (tmp_path / "starting.py").write_text(STARTING)
    server = start_server("starting:app", cwd=tmp_path)
    for path in ("/native/ping?mark", "/slowly?mark"):
        assert server.get(path).status == 200
        assert server.log_lines(f"{path} 200")
    server.stop()
    assert server.log_lines("stopping (SIGTERM)")


def test_an_app_that_goes_to_another_directory_finds_its_modules_later(start, tmp_path):
    (tmp_path / "lazily_loaded.py").write_text("TEXT = 'found'")
    server = start(habit="directory", cwd=tmp_path)
    assert server.get("/lazy").text == "found"
    server.stop()


def test_the_main_module_has_a_file_and_does_nothing_in_processes_that_a_view_spawns(start):
    server = start()
    assert server.get("/main").text == os.path.join(ROOT, "waterspout", "__main__.py")
    assert server.get("/spawned").text == "40"
    server.stop()


def test_threads_of_views_have_names_of_their_own(start):
    """Apps keep a connection, or whose request it is, by the name of the thread."""
    server = start()
    with server.connect() as one, server.connect() as other:
        for connection in (one, other):
            connection.send_request("GET", "/thread")
        assert one.reply().text != other.reply().text
    server.stop()


def test_what_a_decorator_wraps_is_not_what_is_called(start):
    server = start(target="tests.apps.habits:decorated")
    assert server.get("/here").text == "decorated /here"


def test_an_app_that_native_code_imports_lives_in_the_server_too_and_that_is_said(start_server, tmp_path):
    (tmp_path / "both.py").write_text("from tests.apps.working import app\nroutes = []\n")
    server = start_server("--native", "both:routes", "--wsgi", "both:app", form="process", cwd=tmp_path)
    assert server.log_lines("both:app is also loaded in the server")
    assert server.log_lines("its views don't see the variables of this copy")
    server.stop()
    server = start_server("--native", "both:routes", "--wsgi", "both:app", form="threads", cwd=tmp_path)
    assert "is also loaded in the server" not in server.log
    server.stop()


@pytest.mark.parametrize("made", ["Application(", "waterspout.Application("])
def test_so_does_one_that_a_container_in_a_rule_names(start_server, tmp_path, made):
    (tmp_path / "ruled.py").write_text(
        "import waterspout\nfrom tornado.web import Application\nfrom tests.apps.working import app as wsgi\n"
        "rules = [(path, waterspout.Container('ruled:wsgi', workers=1)) for path in ('/a/.*', '.*')]\n"
        f"app = {made}rules)\n"
    )
    server = start_server("ruled:app", cwd=tmp_path)
    server.stop()
    assert server.log.count("ruled:wsgi is also loaded in the server") == 1


def test_a_factory_that_native_code_calls_makes_its_app_in_the_server_too_and_that_is_said(
    start_server, tmp_path
):
    (tmp_path / "fac.py").write_text(
        "from flask import Flask\ndef create_app():\n    app = Flask(__name__)\n"
        "    app.add_url_rule('/', 'home', lambda: 'home')\n    return app\n"
    )
    (tmp_path / "calls.py").write_text("import fac\napp = fac.create_app()\nroutes = []\n")
    (tmp_path / "imports.py").write_text("import fac\nroutes = []\n")
    for native, said in (("calls", True), ("imports", False)):
        words = ("--native", f"{native}:routes", "--wsgi", "fac:create_app()")
        server = start_server(*words, form="process", cwd=tmp_path)
        assert server.get("/").text == "home"
        server.stop()
        assert ("fac:create_app() has also been called in the server, by what native" in server.log) == said


def test_so_is_an_app_that_a_module_has_made_by_the_factory_that_native_code_calls(start_server, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(
        "from flask import Flask\ndef create_app(more=False):\n    app = Flask(__name__)\n"
        "    app.add_url_rule('/', 'home', lambda: 'home')\n"
        "    if more: app.add_url_rule('/more', 'more', lambda: 'more')\n    return app\n"
    )
    (tmp_path / "wsgi.py").write_text("from shop import create_app\napp = create_app()\n")
    (tmp_path / "twin.py").write_text("import shop\napp = shop.create_app()\nroutes = []\n")
    (tmp_path / "other.py").write_text("import shop\napp = shop.create_app(more=True)\nroutes = []\n")
    (tmp_path / "keys.py").write_text("import flask\nkeys = flask.Flask('shop')\nroutes = []\n")
    for native, count in (("twin", 1), ("other", 0), ("keys", 0)):
        words = ("--native", f"{native}:routes", "--wsgi", "wsgi:app", "--wsgi-workers", "2")
        server = start_server(*words, form="process", cwd=tmp_path)
        assert server.get("/").text == "home"
        server.stop()
        said = "the app of wsgi:app, shop, has also been made in the server, by what native code imports: "
        assert server.log.count(said) == count


def test_views_that_native_rules_take_are_said_at_the_start_once(start_server, tmp_path):
    (tmp_path / "shop.py").write_text(
        "from flask import Flask\napp = Flask(__name__)\n"
        "app.add_url_rule('/items/<int:n>', 'item', lambda n: 'item')\n"
        "app.add_url_rule('/', 'home', lambda: 'home')\n"
    )
    (tmp_path / "ported.py").write_text(
        "from tornado.web import RequestHandler\nimport waterspout\n"
        "class Item(RequestHandler):\n    def get(self, n): self.write('native')\n"
        "@waterspout.replaces('item')\nclass Meant(Item): pass\n"
        "routes = [('/items/<int:n>', Item)]\nmeant = [('/items/<int:n>', Meant)]\n"
    )
    said = "native rules take requests of a Flask view (item): waterspout routes --check"
    for native, workers, count in (("routes", "2", 1), ("routes", "0", 1), ("meant", "1", 0)):
        words = ("--native", f"ported:{native}", "--wsgi", "shop:app", "--wsgi-workers", workers)
        server = start_server(*words, form="process", cwd=tmp_path)
        assert server.get("/items/7").text == "native"
        server.stop()
        assert server.log.count(said) == count
        assert server.log.count("native rules take") == count


@pytest.mark.parametrize("by", ["thread", "executor"])
def test_what_a_view_has_begun_in_the_background_is_finished_at_the_end(start, by):
    server, ident = start(), new_id()
    assert server.get(f"/mail?id={ident}&by={by}&seconds=5").text == "accepted"  # longer than EXIT_GRACE
    server.stop()
    assert server.notes("sent", ident)


def test_what_never_ends_in_the_background_ends_with_the_graceful_timeout(start):
    server, ident = start("--graceful-timeout", "1"), new_id()
    assert server.get(f"/mail?id={ident}&seconds=60").text == "accepted"
    server.signal(signal.SIGTERM)
    says = "threads started by the app are still running (Thread-"
    early = "has nothing to serve but is still running: " if start.form == "process" else "stopped, but "
    assert server.log_lines(early + says)
    assert server.wait(0) is None  # it has three seconds at least
    assert server.wait() == 0
    assert len(server.log_lines(says, enough=2)) == 2


def test_what_a_scheduler_still_runs_is_waited_for_and_named(start):
    """Python waits for the threads of executors, daemons too."""
    server, ident = start(), new_id()
    assert server.get(f"/mail?id={ident}&seconds=3&by=scheduler").text == "accepted"
    server.stop()
    assert server.notes("sent", ident)
    [line] = server.log_lines("threads started by the app are still running (ThreadPoolExecutor-")
    assert re.search(r", at tests/apps/habits\.py:\d+ in send\)", line)


def test_a_function_for_the_exit_that_does_not_return_ends_with_the_graceful_timeout(start):
    server = start("--graceful-timeout", "1", habit="exit")
    server.canary()
    server.stop()
    assert server.log_lines("exit functions registered by the app are still running")


def test_a_process_that_a_view_has_started_does_not_hold_the_end_up(start):
    """Python waits for it; nothing ends it."""
    server = start("--graceful-timeout", "1")
    child = int(server.get("/job").text)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert is_alive(child)
    server.kill()
    assert server.log_lines(f"processes started by the app are still running ({child}), and are not killed")


def test_a_child_of_a_view_ends_whatever_the_app_has_put_in_place_of_stdout(start_server):
    server = start_server("--wsgi", APP, form="process", env={"HABIT": "stdout"})
    assert server.get("/fork").text == "parent"
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.kill()  # not `stop`: Python itself says at the end that it can't flush this


def test_a_process_that_a_native_handler_has_started_does_not_hold_the_end_up(start_server):
    server = start_server("--native", "tests.apps.natives:routes", "--graceful-timeout", "1")
    child = int(server.get("/native/job").text)
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    server.kill()
    assert server.log_lines(f"still running ({child}), and are not killed")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_task_that_can_t_be_cancelled_does_not_hold_the_end_up(start_server, loop):
    words = ("--native", "tests.apps.natives:routes", "--graceful-timeout", "2", "--loop", loop)
    server = start_server(*words)
    assert server.get("/native/stubborn").text == "started"
    server.stop()
    says = "tasks started by the app are still running after being cancelled (go_on)"
    assert server.log_lines(f"stopped, but {says}; waiting for at most ")
    assert server.log_lines(f"{says}: the graceful timeout is over")


def test_a_stop_soon_after_a_reload_waits_no_longer_for_what_that_has_cut(start_server):
    server, ident = start_server("--wsgi", APP, "--graceful-timeout", "6", form="process"), new_id()
    with server.connect() as connection:
        connection.send_request("GET", f"/sleeping?id={ident}")
        server.wait_for_note("ran", ident)
        server.signal(signal.SIGHUP)
        assert connection.reply().status == 502
    server.signal(signal.SIGTERM)
    began = time.monotonic()
    assert server.wait() == 0
    assert time.monotonic() - began < 5
    assert "had nothing to serve" not in server.log
    (line,) = server.log_lines(f"GET /sleeping?id={ident} 502")
    assert line.endswith(" stopped")


def test_who_is_told_twice_to_stop_does_not_wait_for_the_background(start):
    server, ident = start(), new_id()
    assert server.get(f"/mail?id={ident}&seconds=60").text == "accepted"
    server.signal(signal.SIGTERM)
    assert server.log_lines("stopping")
    time.sleep(1.5)  # within a second it would count as one signal, sent to the process and its group
    server.signal(signal.SIGTERM)
    assert server.wait() == 1


def test_a_thread_of_a_view_survives_a_reload(start_server):
    server, ident = start_server("--wsgi", APP, form="process"), new_id()
    assert server.get(f"/mail?id={ident}&seconds=5").text == "accepted"
    before = server.wsgi_pids()
    server.signal(signal.SIGHUP)
    assert poll(lambda: set(server.wsgi_pids()) - set(before), 20)
    server.wait_for_note("sent", ident, 20)
    assert poll(lambda: has_ended(before[0]))


def test_a_process_that_the_app_has_replaced_by_another_program_is_replaced(start_server):
    server = start_server("--wsgi", APP, "--wsgi-threads", "1", form="process")
    (old,) = server.wsgi_pids()
    assert server.get("/exec").status == 502
    assert poll(lambda: has_ended(old), 20)
    assert poll(lambda: server.get("/slowly").status == 200, 20)


def test_modules_of_the_app_are_not_taken_for_python_s(start_server, tmp_path):
    for name in ("queue", "logging", "signal", "token", "copy", "email"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('not meant')")
    (tmp_path / "hello.py").write_text(
        "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'hello']\n"
    )
    command = [sys.executable, "-P", "-m", "waterspout", "serve", "--wsgi", "hello:app", "--port", "0"]
    log = tmp_path / "log"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with log.open("wb") as stderr:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stderr=stderr)
    try:
        assert poll(lambda: process.poll() is not None or "serves" in log.read_text(), 30)
        assert "serves" in log.read_text(), log.read_text()
    finally:
        process.terminate()
        assert process.wait(20) == 0


def test_a_release_behind_a_symbolic_link_is_loaded_by_a_reload(start_server, tmp_path):
    for name in ("one", "two"):
        release = tmp_path / name
        release.mkdir()
        (release / "released.py").write_text(
            f"def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{name}']\n"
        )
    current = tmp_path / "current"
    current.symlink_to("one")
    server = start_server("--wsgi", "released:app", form="process", cwd=current, env={"PWD": str(current)})
    assert server.get("/").text == "one"
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(current)
    server.signal(signal.SIGHUP)
    assert poll(lambda: server.get("/").text == "two", 20)


def test_what_can_t_be_loaded_and_says_a_lot_is_told_at_once(start):
    with pytest.raises(StartError, match="ended with exit code 3") as failure:
        start(target="tests.apps.habits:load_never()")
    assert len(str(failure.value)) < 100_000 or start.form == "threads"


@pytest.mark.parametrize("named", [None, "/nonexistent", ".", "/"])
def test_the_shell_s_name_of_the_directory_is_a_hint_and_no_more(tmp_path, named):
    (tmp_path / "hello.py").write_text("def app(environ, start_response): raise SystemExit")
    env = {name: value for name, value in os.environ.items() if name != "PWD"}
    env |= {} if named is None else {"PWD": named}
    words = ("-P", "-m", "waterspout", "routes", "--wsgi", "hello:app")
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, env=env, capture_output=True, timeout=30)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_app_that_hangs_as_it_is_loaded_by_the_server_itself_can_be_stopped(tmp_path, number):
    log, env = tmp_path / "log", os.environ | {"WITNESS_FOLDER": str(tmp_path), "LOADS_FOR": "60"}
    words = ("serve", "--wsgi", "tests.apps.habits:load_slowly()", "--wsgi-workers", "0")
    words += ("--unix", str(tmp_path / "s"), "--ops-bind", f"unix:{tmp_path / 'ops'}")
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "waterspout", *words], cwd=ROOT, env=env, stderr=stderr
        )
    assert poll((tmp_path / "loading").exists, 30)
    sockets = [tmp_path / "s", tmp_path / "ops"]
    assert all(path.is_socket() for path in sockets)
    process.send_signal(number)
    assert process.wait(20) == 0
    assert f"stopped ({number.name}): the app was still being loaded" in log.read_text()
    assert not any(path.exists() for path in sockets)


def test_the_server_s_own_handlers_of_signals_are_the_last_word(start):
    server = start(habit="signals")
    with server.connect() as connection:
        connection.send_request("GET", "/slowly")
        connection.next_chunk(connection.head())
        server.signal(signal.SIGTERM)
        assert server.log_lines("stopping")
        assert server.wait() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGHUP, None)])
def test_signals_while_the_app_is_loaded(tmp_path, number, code):
    """The first ends the server, as at any other time; the second does not."""
    log, env = tmp_path / "log", os.environ | {"WITNESS_FOLDER": str(tmp_path), "LOADS_FOR": "3"}
    words = ("-m", "waterspout", "serve", "--wsgi", "tests.apps.habits:load_slowly()", "--port", "0")
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=env, stderr=stderr)
    try:
        assert poll((tmp_path / "loading").exists, 30)
        process.send_signal(number)
        assert poll(lambda: process.poll() is not None or "serves" in log.read_text(), 30)
        assert process.poll() == code, log.read_text()
        says = "stopping (SIGTERM): the WSGI app is still being loaded"
        assert (says in log.read_text()) is (number is signal.SIGTERM)
    finally:
        if process.poll() is None:
            process.terminate()
        assert process.wait(20) == 0


def test_when_nobody_reads_the_log_any_more_requests_are_finished_all_the_same(tmp_path):
    env = os.environ | {"WITNESS_FOLDER": str(tmp_path)}
    words = ("-m", "waterspout", "serve", "--wsgi", APP, "--port", "0")
    process = subprocess.Popen([sys.executable, *words], cwd=ROOT, env=env, stderr=subprocess.PIPE)
    try:
        # On a busy machine the first line may say that the app is still being loaded.
        port = next(
            int(said[1]) for line in process.stderr if (said := re.search(rb" serves \S+:(\d+)", line))
        )
        process.stderr.close()
        with Connection(("127.0.0.1", port)) as connection:
            connection.send_request("GET", "/slowly")
            head = connection.head()
            assert connection.next_chunk(head) == b"0;"
            process.terminate()
            assert [connection.next_chunk(head) for _ in range(4)] == [b"1;", b"2;", b"3;", b""]
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)


# --- clients -------------------------------------------------------------------------------------------


def test_no_spelling_of_a_method_or_a_path_goes_round_a_native_rule(start):
    server = start("--native", "tests.apps.natives:routes")
    for method in ("get", "Get", "gET"):
        assert server.ask(method, "/native/numbers/7").status == 405
    assert server.get("//native/numbers/7").text == "7"


def test_a_final_reply_instead_of_100_continue_says_that_it_is_the_last(start):
    server = start()
    with server.connect() as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "1000000")]
        connection.send_head("POST", "/early", headers)
        reply = connection.reply()
    assert (reply.status, reply.header("Connection")) == (200, "close")


@pytest.mark.skipif(ON_TORNADO, reason="Tornado's server tells nobody why it closes a connection")
def test_what_the_server_refuses_is_in_the_log(start):
    server = start("--native", "tests.apps.natives:routes")
    for path in ("/canary", "/native/whole", "/native/streamed"):
        mark = new_id()
        with server.connect() as connection:
            connection.send_head("POST", f"{path}?id={mark}", [("Transfer-Encoding", "chunked")])
            connection.send(b"3\r\nabc\r\nnonsense\r\n")
            assert connection.reply().status == 400
        (line,) = server.log_lines(mark)
        assert " 400 " in line
        assert line.endswith(" bad-framing")
    with server.connect() as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b-secret\r\n\r\n")
        assert connection.reply().status == 400
    (line,) = server.log_lines(" refused")
    assert re.search(r"127\.0\.0\.1 - - 400 ", line)
    assert line.endswith(" refused: more than one host field")
    assert "secret" not in server.log


@pytest.mark.skipif(ON_TORNADO, reason="Tornado's server tells nobody why it closes a connection")
def test_who_speaks_something_else_is_told_by_what(start):
    """A misconfigured load balancer does so day and night: the log line must give the reason."""
    server = start()
    for spoken in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
        b"\0\x1a\0\0\x0e\0REQUEST_METHOD\3\0GET\t\0PATH_INFO\1\0/",
        b"\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with server.connect() as connection:
            connection.send(spoken)
            connection.everything()
    lines = server.log_lines(" refused: ", enough=6)
    assert [line.partition(" refused: ")[2] for line in lines] == [
        "Malformed HTTP request line (TLS)",
        "Malformed HTTP request line (the PROXY protocol)",
        "Malformed HTTP request line (the PROXY protocol)",
        "Malformed HTTP request line (uwsgi)",
        "Malformed HTTP request line (FastCGI)",
        "Missing Host header",
    ]


def test_who_is_gone_before_being_accepted_is_nobody(start):
    """The kernel no longer knows its address: what it has sent is not run."""
    server = start()
    for _ in range(100):
        with server.connect() as connection:
            connection.send(b"GET /slowly?reset HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.reset()
    server.canary()
    assert "0.0.0.0" not in server.log
