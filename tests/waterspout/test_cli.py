"""What the command line takes, what it refuses, and with which exit code. Nothing is really served."""

import asyncio
import errno
import gc
import os
import socket
import subprocess
import sys
import threading

import click
import pytest
from click.testing import CliRunner
from tornado.web import Application as TornadoApplication

from tests.waterspout import natives
from tests.waterspout.processes import wait_until
from waterspout import Application, __version__, cli, limits
from waterspout.cli import main, make_serve_command, serving_address
from waterspout.http import HeadLimits, HTTPSettings
from waterspout.options import HEAD_LIMITS, OPTIONS, TIMES
from waterspout.serving.server import describe

APP = "tests.waterspout.wsgi.apps:app"


@pytest.fixture(scope="module", autouse=True)
def nothing_goes_on():
    """The threads that end a command in time are gone before other tests count theirs."""
    before = set(threading.enumerate())
    yield
    wait_until(lambda: before.issuperset(threading.enumerate()), 10)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, keep_logging):
    """Undoes what a command changes in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture
def served(monkeypatch):
    """What would have been served: (application, settings, event loop's module)."""
    found = []

    class FakeServer:
        ends_by = 0.0
        has_served = False
        status = 0

        def __init__(self, application, settings):
            self.told = application, settings

        async def serve(self):
            found.append((*self.told, type(asyncio.get_running_loop()).__module__))

    monkeypatch.setattr(cli, "Server", FakeServer)
    return found


def run(*arguments, command=main, env=None):
    words = arguments if command is not main else ("serve", *arguments)
    return CliRunner().invoke(command, words, env=env or {})


def refuse(*arguments, **options):
    """The exit code and the one line of a command that does not serve."""
    result = run(*arguments, **options)
    assert "Traceback" not in result.output
    return result.exit_code, result.stderr.strip().split("\n")[-1]


# --- what is served ------------------------------------------------------------------------------------


def test_a_wsgi_app_alone_is_served_with_the_defaults(served):
    assert run("--wsgi", APP).exit_code == 0
    ((application, settings, _),) = served
    assert isinstance(application, Application)
    assert describe(application) == f"0 native rules, everything else to {APP} in 1 process x 8 threads"
    assert (settings.host, settings.port, settings.application) == ("127.0.0.1", 8888, {})


def test_native_rules_and_a_wsgi_app_are_served_together(served):
    assert run("--native", "tests.waterspout.natives:routes", "--wsgi", APP).exit_code == 0
    application = served[0][0]
    assert application.native_rules == 1
    assert application.container.pool.target == APP


def test_native_rules_alone_are_served(served):
    assert run("--native", "tests.waterspout.natives:routes").exit_code == 0
    assert served[0][0].container is None


@pytest.mark.parametrize("name", ["stock", "ours", "make_ours()"])
def test_a_whole_application_is_served(served, name):
    assert run(f"tests.waterspout.natives:{name}").exit_code == 0
    assert isinstance(served[0][0], TornadoApplication)


def test_a_service_knows_what_it_serves(served):
    command = make_serve_command("tests.waterspout.natives:stock")
    assert run("--port", "0", command=command).exit_code == 0
    assert type(served[0][0]) is TornadoApplication


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--trusted-proxies", "unix,localhost"),
            "'localhost' does not appear to be an IPv4 or IPv6 network, like 127.0.0.1 or 10.0.0.0/8",
        ),
        (("--trusted-proxies", "*"), "name networks"),
        (("--proxy-headers", "forwarded"), "name the trusted proxies, too"),
        (("--proxy-headers", "both", "--trusted-proxies", "unix"), "'both' can't stand here"),
        (("--proxy-headers", "x-forwarded-for,x-real-ip", "--trusted-proxies", "unix"), "x-forwarded-prefix"),
        (("--proxy-headers", "x-forwarded-for"), "name the trusted proxies, too"),
        (("--root-path", "board"), "a path like /board"),
        (("--root-path", "//evil.example"), "a path like /board"),
    ],
)
def test_what_is_said_of_proxies_must_be_right(words, said):
    result = run("--wsgi", APP, *words)
    assert result.exit_code == 2
    assert said in result.output


@pytest.mark.parametrize("by_variable", [True, False])
def test_fields_of_proxies_reach_both_sides(served, by_variable):
    words, trust = "X-Forwarded-For, x-forwarded-proto", ("--trusted-proxies", "::1")
    if by_variable:
        result = run("--wsgi", APP, *trust, env={"WATERSPOUT_PROXY_HEADERS": words})
    else:
        result = run("--wsgi", APP, *trust, "--proxy-headers", words)
    assert result.exit_code == 0, result.output
    application = served[0][0]
    for proxies in (application.proxies, application.container.proxies):
        assert proxies.headers == "x-forwarded-for,x-forwarded-proto"


@pytest.mark.parametrize("name", ["ACCESS_LOG", "RELOAD", "DEBUG"])
def test_a_switch_is_turned_off_by_its_variable(served, name):
    assert run("--wsgi", APP, env={f"WATERSPOUT_{name}": "0"}).exit_code == 0
    assert getattr(served[0][1], name.lower()) is False


@pytest.mark.parametrize("words", [("--trusted-proxies", "::1"), ("--root-path", "/board")])
def test_an_application_that_knows_no_proxies_is_not_left_alone_with_them(words):
    result = run("tests.waterspout.natives:stock", *words)
    assert result.exit_code == 2
    assert f"{words[0]}: only a waterspout.Application" in result.output
    assert "(docs/recipe.md)" in result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--native", "tests.waterspout.natives:routes"), ", because there is no WSGI app"),
        (("tests.waterspout.natives:make_ours()",), ", because there is no WSGI app"),
        (
            ("tests.waterspout.natives:stock",),
            ", because only a waterspout.Application supports this, not tornado.web.Application",
        ),
        (
            ("tests.waterspout.natives:stock_with_container",),
            ", because only a waterspout.Application supports this, not tornado.web.Application: "
            "those of the WSGI side are set where the Container is made",
        ),
        (
            ("tests.waterspout.natives:ours_with_container",),
            " by the Container of a rule: set it where the Container is made",
        ),
        (
            ("tests.waterspout.natives:both_with_container",),
            " by the Container of a rule (only wsgi= takes it): set it where the Container is made",
        ),
    ],
)
def test_options_that_nobody_looks_at_are_told_and_variables_may_be_for_others(served, words, said):
    ran = run(*words, "--wsgi-timeout", "5", "--wsgi-pool", "reports:/reports:1x1")
    assert ran.exit_code == 0
    assert f"waterspout: --wsgi-timeout, --wsgi-pool: ignored{said}\n" in ran.stderr
    ran = run(*words, env={"WATERSPOUT_WSGI_TIMEOUT": "5"})
    assert ran.exit_code == 0
    is_told = f"WATERSPOUT_WSGI_TIMEOUT: ignored{said}" in ran.stderr
    assert is_told == ("Container" in said)


def test_a_limit_for_bodies_is_no_word_to_the_container_of_a_rule(served):
    for name in ("ours_with_container", "both_with_container", "ours", "make_ours()"):
        ran = run(f"tests.waterspout.natives:{name}", "--max-body-size", "1KiB")
        assert ran.exit_code == 0
        is_told = "--max-body-size: ignored by the Container of a rule" in ran.stderr
        assert is_told == name.endswith("with_container")


def test_a_limit_that_a_stock_application_does_not_know_is_told(served):
    ran = run("tests.waterspout.natives:stock", "--native-max-body-size", "1KiB")
    assert ran.exit_code == 0
    assert "--native-max-body-size: ignored, because only a waterspout.Application" in ran.stderr


def test_a_target_is_more_than_the_service_s_own(served):
    command = make_serve_command("tests.waterspout.natives:stock")
    assert run("tests.waterspout.natives:ours", command=command).exit_code == 0
    assert type(served[0][0]) is Application


@pytest.mark.parametrize("by_variable", [True, False])
def test_options_reach_the_application(served, by_variable):
    options = {"wsgi-workers": "3", "wsgi-threads": "5", "wsgi-queue": "7", "max-body-size": "2MiB"}
    options |= {"wsgi-timeout": "8.5", "wsgi-queue-timeout": "3.5", "wsgi-nice": "1", "wsgi-max-rss": "1GiB"}
    options |= {"wsgi-max-requests": "100", "wsgi-max-requests-jitter": "10"}
    options |= {
        "native-max-body-size": "1KiB",
        "graceful-timeout": "4.5",
        "trusted-proxies": "10.0.0.0/8, ::1",
        "proxy-headers": "forwarded",
        "root-path": "/board/",
        "wsgi-spool": "3MiB",
        "wsgi-spool-reply": "1MiB",
    }
    if by_variable:
        env = {f"WATERSPOUT_{name.upper().replace('-', '_')}": value for name, value in options.items()}
        result = run("--wsgi", APP, env=env)
    else:
        result = run("--wsgi", APP, *(word for name in options for word in (f"--{name}", options[name])))
    assert result.exit_code == 0, result.output
    application, settings, _ = served[0]
    pool = application.container.pool.settings
    assert (pool.workers, pool.threads, pool.queue, pool.graceful_timeout) == (3, 5, 7, 4.5)
    assert (pool.timeout, pool.queue_timeout, pool.nice, pool.max_rss) == (8.5, 3.5, 1, limits.GIB)
    assert (pool.max_requests, pool.max_requests_jitter) == (100, 10)
    admission = application.container.pool.admission
    assert (admission.space.limit, admission.reply_limit) == (3 * limits.MIB, limits.MIB)
    assert application.max_body_size == application.container.max_body_size == 2 * limits.MIB
    assert application.native_max_body_size == limits.KIB
    for proxies in (application.proxies, application.container.proxies):
        addresses = ("10.1.2.3", "::1", "11.0.0.1")
        assert [proxies.is_trusted(address) for address in addresses] == [True, True, False]
        assert (proxies.headers, proxies.root_path) == ("forwarded", "/board")
    assert (settings.graceful_timeout, settings.max_body_size) == (4.5, 2 * limits.MIB)


@pytest.mark.parametrize("by_variable", [True, False])
def test_pools_are_named_on_the_command_line(served, by_variable):
    pools = ("reports:/reports/*,/export:1x4", "pay:/pay:2x3")
    if by_variable:
        result = run("--wsgi", APP, env={"WATERSPOUT_WSGI_POOL": " ".join(pools)})
    else:
        result = run("--wsgi", APP, *(word for pool in pools for word in ("--wsgi-pool", pool)))
    assert result.exit_code == 0, result.output
    application = served[0][0]
    sizes = {name: (pool.settings.workers, pool.settings.threads) for name, pool in pools_of(application)}
    assert sizes == {"main": (1, 8), "reports": (1, 4), "pay": (2, 3)}
    assert describe(application).endswith(
        "pool reports in 1 process x 4 threads, pool pay in 2 processes x 3 threads"
    )


def pools_of(application):
    return application.container.pools.items()


def test_pools_of_the_command_line_stand_in_place_of_the_application_s(served):
    assert run("tests.waterspout.natives:with_pools", "--wsgi-threads", "2").exit_code == 0
    assert [name for name, _ in pools_of(served[0][0])] == ["main", "slow"]
    assert run("tests.waterspout.natives:with_pools", "--wsgi-pool", "reports:/reports:0x1").exit_code == 0
    assert [name for name, _ in pools_of(served[1][0])] == ["main", "reports"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--wsgi-pool", "reports"], "NAME:PATHS:WORKERSxTHREADS"),
        (["--wsgi-pool", "reports:reports:1x4"], "begin with /"),
        (["--wsgi-pool", "main:/a:1x4"], "choose another name"),
        (["--wsgi-pool", "a:/a:1x4", "--wsgi-pool", "a:/b:1x4"], "names 'a' twice"),
        (["--wsgi-pool", "a:/a:1x4", "--debug"], "one WSGI process"),
        (["--ops-bind", "9100"], "127.0.0.1:9100"),
        (["--ops-bind", "::1:9100"], "[::1]:9100"),
    ],
)
def test_what_is_no_pool_or_address_is_refused(served, words, line):
    code, said = refuse("--wsgi", APP, *words)
    assert code == 2
    assert line in said


def test_figures_are_told_where_it_is_said(served):
    assert run("--wsgi", APP, "--ops-bind", "127.0.0.1:9100").exit_code == 0
    assert str(served[0][1].ops) == "127.0.0.1:9100"
    assert run("--wsgi", APP).exit_code == 0
    assert served[1][1].ops is None


def test_what_is_not_said_is_left_to_the_application(served):
    assert run("tests.waterspout.natives:ours", "--wsgi-threads", "2").exit_code == 0
    pool = served[0][0].container.pool.settings
    assert (pool.threads, pool.queue) == (2, 5)


@pytest.mark.parametrize(("name", "module"), [("asyncio", "asyncio.unix_events"), ("uvloop", "uvloop")])
def test_the_event_loop_is_the_one_that_was_asked_for(served, name, module):
    pytest.importorskip("uvloop")
    assert run("tests.waterspout.natives:stock", "--loop", name).exit_code == 0
    assert served[0][2] == module


def test_an_event_loop_that_can_t_be_made_is_one_line(served, monkeypatch):
    def fail():
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(asyncio.events, "new_event_loop", fail)
    line = "waterspout: can't create an event loop: [Errno 1] Operation not permitted"
    assert refuse("--wsgi", APP, "--loop", "asyncio") == (1, line)


@pytest.mark.parametrize("most", [8, 10, 14])
def test_too_few_descriptors_for_a_loop_are_no_traceback(most):
    """uvloop opens some when it is made, and some when it first runs; after that modules are loaded."""
    code = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, ({most}, {most})); "
    code += "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    serve = ["-m", "waterspout", "serve", "--wsgi", APP, "--port", "0", "--loop", "uvloop"]
    # Where Python takes long to end, a thread that wakes meanwhile is ended by it: the C library aborts the
    # process if it can't open this one then.
    environ = {**os.environ, "LD_PRELOAD": "libgcc_s.so.1"}
    command = [sys.executable, "-c", code, *serve]
    ran = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Traceback" not in ran.stderr
    assert f"{os.strerror(errno.EMFILE)} (ulimit -n is {most})" in ran.stderr


def test_without_uvloop_the_loop_is_asyncio_s(served, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run("tests.waterspout.natives:stock").exit_code == 0
    assert served[0][2].startswith("asyncio")
    code, line = refuse("tests.waterspout.natives:stock", "--loop", "uvloop")
    assert (code, "pip install uvloop" in line) == (2, True)


def test_autoreload_of_the_application_is_told(served, monkeypatch):
    application = TornadoApplication()
    application.settings["autoreload"] = True  # as its constructor does, which starts it
    monkeypatch.setattr(natives, "reloading", application, raising=False)
    for word, options, is_told in (
        ("reloading", (), True),
        ("reloading", ("--reload",), False),
        ("stock", (), False),
    ):
        ran = run(f"tests.waterspout.natives:{word}", *options)
        assert ran.exit_code == 0
        assert ("--reload loads changed code" in ran.stderr) == is_told


def test_debug_shows_tracebacks_and_loads_the_debugger(served):
    assert run("--wsgi", APP, "--debug").exit_code == 0
    application, settings, _ = served[0]
    assert settings.debug
    assert application.settings["serve_traceback"]
    assert application.container.pool.settings.debug


def test_the_limits_of_the_http_server_are_its_defaults(served):
    assert run("--wsgi", APP).exit_code == 0
    assert served[0][1].http == HTTPSettings()


@pytest.mark.parametrize("by_variable", [True, False])
def test_limits_reach_the_http_server(served, by_variable):
    options = {"limit-request-line": "1KiB", "limit-request-fields": "7", "limit-request-field-size": "2KiB"}
    options |= {"limit-request-head": "3KiB", "head-timeout": "1", "keep-alive-timeout": "2.5"}
    options |= {"body-timeout": "3", "body-rate": "4", "write-timeout": "5"}
    words = [word for name in options for word in (f"--{name}", options[name])]
    env = {f"WATERSPOUT_{name.upper().replace('-', '_')}": value for name, value in options.items()}
    result = run("--wsgi", APP, env=env) if by_variable else run("--wsgi", APP, *words)
    assert result.exit_code == 0, result.output
    assert served[0][1].http == HTTPSettings(HeadLimits(1024, 3072, 7, 2048), 1, 2.5, 3, 4, 5)


@pytest.mark.parametrize(
    ("word", "server"), [("waterspout", "waterspout"), ("httptools", "waterspout"), ("tornado", "tornado")]
)
def test_the_http_server_is_the_one_that_was_asked_for(served, word, server):
    assert run("--wsgi", APP, "--server", word).exit_code == 0
    assert served[0][1].server == server


def test_tornado_s_server_knows_two_of_the_limits(served):
    words = ("--keep-alive-timeout", "5", "--limit-request-head", "8KiB")
    assert run("--wsgi", APP, "--server", "tornado", *words).exit_code == 0
    assert (served[0][1].http.keep_alive_timeout, served[0][1].http.head.head) == (5, 8192)


# --- where it listens ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("--fd", "7", "--fd", "8,9"), ("--fd", "7, 8 ,9")])
def test_descriptors_come_in_a_list_or_one_by_one(served, words):
    assert run("--wsgi", APP, *words).exit_code == 0
    assert served[0][1].descriptors == (7, 8, 9)


def test_descriptors_come_from_the_environment(served):
    assert run("--wsgi", APP, env={"WATERSPOUT_FD": "7, 8"}).exit_code == 0
    assert served[0][1].descriptors == (7, 8)


def test_a_unix_socket_has_a_path_and_a_mode(served):
    assert run("--wsgi", APP, "--unix", "/run/s", "--unix-mode", "600").exit_code == 0
    assert (served[0][1].unix, served[0][1].unix_mode) == ("/run/s", 0o600)


def test_systemd_s_descriptors_are_found(served):
    result = run("--wsgi", APP, env={"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})
    assert result.exit_code == 0, result.output
    assert served[0][1].descriptors == (3, 4)


def test_those_of_another_process_are_not_and_that_is_said(served):
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "2"}
    ran = run("--wsgi", APP, env=env)
    assert (ran.exit_code, served[0][1].descriptors) == (0, ())
    assert f"it was meant for process 1 (LISTEN_PID), and this one is {os.getpid()}" in ran.stderr
    assert "write exec before it, or --fd 3\n" in ran.stderr
    for words in (("--fd", "7"), ("--port", "0")):  # with an address given, nothing is missing
        assert "LISTEN_FDS" not in run("--wsgi", APP, *words, env=env).stderr
    assert "LISTEN_FDS" not in run("--wsgi", APP, env={"LISTEN_PID": "1"}).stderr


@pytest.mark.parametrize(
    ("words", "descriptors", "said"),
    [(("--port", "0"), (), True), (("--unix", "/s"), (), True), (("--fd", "9"), (9,), False)],
)
def test_what_is_said_wins_over_systemd(served, words, descriptors, said):
    result = run("--wsgi", APP, *words, env={"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2"})
    assert served[0][1].descriptors == descriptors
    assert ("LISTEN_FDS is ignored" in result.stderr) == said


def test_a_port_that_is_not_for_us_says_no_place_to_listen(served):
    env = {"WATERSPOUT_PORT": "tcp://10.0.0.1:80"}
    assert run("--wsgi", APP, "--unix", "/run/s", env=env).exit_code == 0
    assert served[0][1].unix == "/run/s"


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            (),
            "nothing to serve: give TARGET, or --native and/or --wsgi; a Flask app, for example: --wsgi",
        ),
        (("tests.waterspout.natives:ours", "--wsgi", APP), "not both"),
        (("--wsgi", APP, "--max-body-size", "10", "MiB"), "TARGET, here 'MiB', or --native"),
        (("tests.waterspout.natives:ours", "--native", "x:y"), "not both"),
        (("no_such_module:app",), "there is no module 'no_such_module'"),
        (("nonsense",), "write MODULE:NAME"),
        (("tests.waterspout.natives:routes",), "not a tornado.web.Application: its type is list"),
        ((APP,), f"its type is function; a WSGI app is served with --wsgi {APP}"),
        (
            ("tests.waterspout.natives:make_ours",),
            "; if it makes one, write tests.waterspout.natives:make_ours()",
        ),
        (
            ("tests.waterspout.natives:Ours",),
            "its type is type; it is an Application class: write tests.waterspout.natives:Ours()",
        ),
        (
            ("tests.waterspout.natives:by_path",),
            "its type is dict; name an application, or a function that makes one, with () after it",
        ),
        (("tests.waterspout.natives:HelloHandler.get",), "its type is function; name an application, or"),
        (("tests.waterspout.natives:router",), "or serve it with waterspout.http.HTTPServer"),
        (
            ("--native", APP),
            f"not a list of Tornado rules: its type is function; a WSGI app is served with --wsgi {APP}",
        ),
        (
            ("--native", "tests.waterspout.natives:make_routes"),
            "; if it makes them, write tests.waterspout.nat",
        ),
        (("--native", "tests.waterspout.natives:by_path"), "its type is dict; write [(path, handler), ...]"),
        (("--native", "shop.native"), "write MODULE:NAME or MODULE:FACTORY(), like shop.native:routes"),
        (("shop",), "like shop:app; a WSGI app, like Flask's, is served with --wsgi shop:app"),
        (("shop.py",), "is served with --wsgi shop:app"),
        (
            ("--native", "tests.waterspout.natives:ours"),
            "is a tornado.web.Application: use waterspout serve tests.waterspout.natives:ours",
        ),
        (("--native", "tests.waterspout.natives:nothing"), "has no 'nothing'"),
        (("--wsgi", APP, "--debug", "--host", "0.0.0.0"), "loopback only"),
        (("--wsgi", APP, "--debug", "--wsgi-workers", "2"), "one WSGI process"),
        (("--wsgi", APP, "--trusted-proxies", "everybody"), "trusted proxies"),
        (("--wsgi", APP, "--graceful-timeout", "inf"), "graceful timeout"),
        (("--wsgi", APP, "--unix", "/s", "--port", "0"), "--port and --unix both say where to listen"),
        (("--wsgi", APP, "--fd", "3", "--host", "::1"), "--host and --fd both say where to listen"),
        (("--wsgi", APP, "--fd", "3", "--unix", "/s"), "--unix and --fd both say where to listen"),
        (("--wsgi", APP, "--unix-mode", "600"), "--unix-mode is of no use without --unix"),
        (("--wsgi", APP, "--wsgi-max-requests-jitter", "5"), "max_requests_jitter is of no use without"),
        (("--wsgi", APP, "--keyfile", "k"), "--keyfile is of no use without --certfile"),
        (("--wsgi", APP, "--host", ""), "--host is empty: give it a value, or leave it out"),
        (("--wsgi", APP, "--host", "localhost:80"), "write --host localhost --port 80"),
        (("--wsgi", APP, "--host", ":80"), "--host :80 includes a port: write --host 0.0.0.0 --port 80"),
        (("--wsgi", APP, "--host", "[::1]:80"), "includes a port: write --host ::1 --port 80"),
        (("--wsgi", APP, "--host", "[::1]"), "write it without brackets: ::1"),
        (("--wsgi", APP, "--unix", ""), "--unix is empty"),
        (("--wsgi", APP, "--certfile", "", "--keyfile", ""), "--certfile is empty"),
        (("--wsgi", APP, "--certfile", "both.pem", "--keyfile", ""), "--keyfile is empty"),
        (("--wsgi", APP, "--debug", "--unix", "/s"), "loopback only"),
        (("--wsgi", APP, "--debug", "--fd", "3"), "loopback only"),
        (("--wsgi", APP, "--limit-request-line", "1MiB"), "above --limit-request-head, which is 64KiB"),
        (("--wsgi", APP, "--limit-request-field-size", "65KiB"), "raise that, too"),
    ],
)
def test_what_can_t_be_is_one_line_and_exit_code_2(served, arguments, text):
    code, line = refuse(*arguments)
    assert code == 2
    assert line.startswith("waterspout: ")
    assert text in line


def test_who_gives_a_wsgi_app_by_option_is_told_nothing_of_host_names(served):
    _code, line = refuse("--wsgi", "shop.web")
    assert line.endswith("like shop.web:app")
    assert served == []


def test_a_head_that_no_lane_could_carry_can_t_be_allowed(served):
    code, line = refuse("--wsgi", APP, "--limit-request-head", "257KiB")
    assert code == 2
    assert "'257KiB' is too large: at most 256KiB" in line
    assert served == []


@pytest.mark.parametrize("name", [*HEAD_LIMITS, *TIMES])
def test_a_limit_that_tornado_s_server_does_not_know_is_refused(served, name):
    code, line = refuse("--wsgi", APP, "--server", "tornado", f"--{name.replace('_', '-')}", "1")
    if name in ("limit_request_head", "keep_alive_timeout"):
        assert code == 0
    else:
        assert (code, "does not work with" in line) == (2, True)


def test_a_refusal_names_the_variable_that_said_it(served):
    code, line = refuse("--wsgi", APP, "--unix", "/s", env={"WATERSPOUT_HOST": "::1"})
    assert (code, line.startswith("waterspout: WATERSPOUT_HOST and --unix both")) == (2, True)


def test_nonsense_of_systemd_is_one_line(served):
    env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"}
    code, line = refuse("--wsgi", APP, env=env)
    assert (code, "LISTEN_FDS=many is not a number" in line) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--unix-mode", "999"),
        ("--unix-mode", "rw"),
        ("--fd", "web"),
        ("--fd", "-1"),
        ("--fd", "3,"),
        ("--limit-request-line", "0"),
        ("--limit-request-fields", "0"),
        ("--head-timeout", "0"),
        ("--keep-alive-timeout", "-1"),
        ("--body-timeout", "inf"),
        ("--write-timeout", "nan"),
        ("--body-rate", "-1"),
        ("--write-rate", "-1"),
        ("--wsgi-spool", "much"),
        ("--port", "65536"),
        ("--port", "-1"),
        ("--port", "http"),
        ("--wsgi-workers", "-1"),
        ("--wsgi-threads", "0"),
        ("--wsgi-queue", "-1"),
        ("--max-body-size", "big"),
        ("--graceful-timeout", "-1"),
        ("--loop", "trio"),
        ("--nonsense",),
        ("one", "two"),
    ],
)
def test_a_malformed_option_is_exit_code_2(served, arguments):
    assert run("--wsgi", APP, *arguments).exit_code == 2
    assert served == []


def test_an_app_that_raises_is_one_line_and_exit_code_3(served, tmp_path, monkeypatch):
    (tmp_path / "raising_for_cli.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    code, line = refuse("raising_for_cli:app")
    assert code == 3
    assert "ZeroDivisionError" in line


def test_with_debug_an_app_that_raises_shows_its_traceback(served, tmp_path, monkeypatch):
    (tmp_path / "raising_for_debug.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    result = run("raising_for_debug:app", "--debug")
    assert result.exit_code == 3
    assert "Traceback" in result.stderr


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_a_port_that_is_taken_is_one_line_and_exit_code_1():
    """Tornado's `bind_sockets` leaves the socket that it could not bind to the garbage collector."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, line = refuse("tests.waterspout.natives:stock", "--port", str(port))
    assert code == 1
    assert f"can't listen on 127.0.0.1 port {port}" in line
    gc.collect()


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp"])
def test_a_port_that_kubernetes_set_for_others_is_not_for_us(served, protocol):
    result = run("--wsgi", APP, env={"WATERSPOUT_PORT": f"{protocol}://10.0.0.1:80"})
    assert (result.exit_code, served[0][1].port) == (0, 8888)
    assert "not meant for this server" in result.stderr
    assert run("--wsgi", APP, env={"WATERSPOUT_PORT": "9000"}).exit_code == 0
    assert served[1][1].port == 9000


def test_on_the_command_line_such_a_port_is_a_wrong_option(served):
    for env in ({}, {"WATERSPOUT_PORT": "9000"}):
        result = run("--wsgi", APP, "--port", "tcp://10.0.0.1:80", env=env)
        assert (result.exit_code, served) == (2, [])
        assert "'tcp://10.0.0.1:80' is not a valid" in result.stderr


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("0.0.0.0:8912", "'0.0.0.0:8912' is not just a port: write --host 0.0.0.0 --port 8912"),
        (":8912", "write --port 8912"),
        ("[::]:8912", "write --host :: --port 8912"),
        ("http", "'http' is not a valid port number"),
        ("a:b", "'a:b' is not a valid"),
    ],
)
def test_a_port_that_is_a_host_too_is_told_how_that_is_said(served, place, said):
    code, line = refuse("--wsgi", APP, "--port", place)
    assert (code, said in line, served) == (2, True, [])


def test_a_wrong_value_is_that_of_the_option_or_the_variable_that_gave_it(served):
    _, line = refuse("--wsgi", APP, "--port", "http", env={"WATERSPOUT_PORT": "9000"})
    assert line.startswith("Error: Invalid value for '--port': ")
    _, line = refuse("--wsgi", APP, env={"WATERSPOUT_PORT": "http"})
    assert line.startswith("Error: Invalid value for 'WATERSPOUT_PORT': ")
    _, line = refuse("--wsgi", APP, env={"WATERSPOUT_HOST": "localhost:80"})
    assert line.startswith("waterspout: WATERSPOUT_HOST localhost:80 includes a port")


def test_variables_that_nobody_reads_are_told_at_the_start_where_no_option_says_the_same(served):
    env = {"PORT": "5000", "WEB_CONCURRENCY": "4"}
    line = run("--wsgi", APP, env=env).stderr
    assert (
        "waterspout: set, but not read here: PORT=5000 (ours is --port), WEB_CONCURRENCY=4 (ours is" in line
    )
    assert "not read" not in run("--wsgi", APP, "--port", "5000", "--wsgi-workers", "4", env=env).stderr
    by_variable = env | {"WATERSPOUT_PORT": "5000", "WATERSPOUT_WSGI_WORKERS": "4"}
    assert "not read" not in run("--wsgi", APP, env=by_variable).stderr
    # A whole application says by itself how many processes it wants.
    line = run("tests.waterspout.natives:ours", env=env).stderr
    assert "set, but not read here: PORT=5000 (ours is --port); see docs" in line
    activated = env | {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
    assert "not read" not in run("tests.waterspout.natives:ours", env=activated).stderr
    assert len(served) == 5


@pytest.mark.parametrize(
    ("flask_app", "wsgi"),
    [
        ("hello", "hello:app"),
        ("hello.py", "hello:app"),
        ("shop.py:create_app()", "shop:create_app()"),
        ("shop/site.py:wsgi", "shop.site:wsgi"),
        ("shop.site:create_app", "shop.site:create_app()"),
        ("shop.site:create_app('x')", "shop.web:app"),
        ("", "shop.web:app"),
    ],
)
def test_who_has_told_flask_what_the_app_is_gets_that_as_the_example(flask_app, wsgi):
    code, line = refuse(env={"FLASK_APP": flask_app})
    assert (code, line.endswith(f" for example: --wsgi {wsgi}")) == (2, True)


# --- help ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_names_every_option_and_variable(option):
    text = run(option).output
    for heading, options in OPTIONS.items():
        assert f"{heading}:" in text
        for each in options:
            assert each.opts[0] in text
            assert each.envvar in text


def test_the_version_is_told():
    assert __version__ in CliRunner().invoke(main, ["--version"]).output


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"host": "127.0.0.1", "port": 8888}, "http://127.0.0.1:8888"),
        ({"host": "::1", "port": 8888}, "http://[::1]:8888"),
        ({"host": "0.0.0.0", "port": 80}, "http://localhost:80"),
        ({"host": "127.0.0.1", "port": 8888, "certfile": "x"}, "https://127.0.0.1:8888"),
        ({"host": "127.0.0.1", "port": 0}, ""),
        ({"host": "127.0.0.1", "port": 8888, "unix": "/run/board"}, ""),
        ({"host": "127.0.0.1", "port": 8888, "fd": ((3,),)}, ""),
        ({"host": "127.0.0.1", "port": 8888, "root_path": "/board"}, "http://127.0.0.1:8888/board"),
        ({"host": "127.0.0.1", "port": 8888, "root_path": "/board", "unix": "/run/board"}, "/board"),
        ({}, ""),
    ],
)
def test_the_address_is_that_of_the_command(options, address):
    context = click.Context(click.Command("serve"))
    context.params = options
    with context:
        assert serving_address() == address


def test_without_a_command_there_is_none():
    assert serving_address() == ""


def test_a_command_that_is_left_out_is_told():
    result = CliRunner().invoke(main, ["shop.web:app", "--port", "8000"])
    assert result.exit_code == 2
    assert (
        "No such command 'shop.web:app'. Did you mean: waterspout serve --wsgi shop.web:app" in result.output
    )
    result = CliRunner().invoke(main, ["shop.py"])
    assert "Did you mean: waterspout serve --wsgi shop:app" in result.output
    assert "Did you mean" not in CliRunner().invoke(main, ["run"]).output
