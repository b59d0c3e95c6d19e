"""The options that bound what a client may send, and how long it may take: each really moves its limit."""

import os
import subprocess
import sys
import time

import pytest

from tests.server import ROOT, START_DEADLINE, environment
from tests.wire.client import Cut, build_request
from tests.wire.test_listeners import SERVE, connect_unix

ADDRESS = ("--host", "127.0.0.1", "--port", "0")
OURS = (*ADDRESS, "--server", "waterspout")
TORNADO = (*ADDRESS, "--server", "tornado")
#: Without the option it would take 15 s and more.
LATE = 12
PING = ("GET", "/native/ping")


@pytest.fixture
def start(start_server):
    def start(*words, listen=OURS):
        return start_server(*SERVE, *words, listen=listen)

    return start


def answer_to(server, headers=(), target="/native/ping"):
    return server.ask("GET", target, headers).status


# --- sizes ---------------------------------------------------------------------------------------------


def test_a_longer_request_line_is_a_414(start):
    server = start("--limit-request-line", "100")
    fits = "/native/ping?" + "x" * (100 - len("GET /native/ping? HTTP/1.1"))
    assert answer_to(server, target=fits) == 200
    assert answer_to(server, target=fits + "x") == 414


def test_one_header_field_more_is_a_431(start):
    server = start("--limit-request-fields", "5")
    assert answer_to(server, [(f"X-{number}", "1") for number in range(4)]) == 200  # and Host
    assert answer_to(server, [(f"X-{number}", "1") for number in range(5)]) == 431


def test_a_larger_header_field_is_a_431(start):
    server = start("--limit-request-field-size", "1KiB")
    assert answer_to(server, [("X", "1" * 1000)]) == 200
    assert answer_to(server, [("X", "1" * 1100)]) == 431


def test_a_larger_head_is_a_431(start):
    server = start("--limit-request-head", "2KiB")
    assert answer_to(server, [("X", "1" * 900), ("Y", "1" * 900)]) == 200
    assert answer_to(server, [("X", "1" * 900), ("Y", "1" * 1300)]) == 431


def test_limits_can_be_raised(start):
    server = start("--limit-request-head", "256KiB", "--limit-request-field-size", "128KiB")
    assert answer_to(server, [("X", "1" * 100_000)]) == 200


def test_tornado_s_server_has_the_head_s_size(start):
    server = start("--limit-request-head", "2KiB", listen=TORNADO)
    assert answer_to(server, [("X", "1" * 1500)]) == 200
    with server.connect() as connection, pytest.raises(Cut):
        connection.ask(*PING, [("X", "1" * 3000)])


# --- times ---------------------------------------------------------------------------------------------


def end_of(server, begin):
    """How long a connection on which the client has done this, and no more, lasts; and what still came."""
    begun = time.monotonic()
    with server.connect() as connection:
        begin(connection)
        said = connection.everything()
    return time.monotonic() - begun, said


def test_a_slow_head_is_a_408(start):
    server = start("--head-timeout", "1")
    head = b"GET /native/ping HTTP/1.1\r\nHost: x\r\n"
    seconds, said = end_of(server, lambda connection: connection.send(head))
    assert said.startswith(b"HTTP/1.1 408 ")
    assert 0.5 < seconds < LATE


def test_a_trickled_head_is_a_408(start):
    """Each byte comes in time, the whole head does not."""
    server = start("--head-timeout", "1")
    with server.connect() as connection:
        begun = time.monotonic()
        for byte in b"GET /native/ping HTTP/1.1\r\n" * 4:
            connection.send(bytes([byte]))
            if not connection.is_silent(0.1):
                break
        assert connection.everything().startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - begun < LATE


@pytest.mark.parametrize("listen", [OURS, TORNADO], ids=["waterspout", "tornado"])
def test_an_idle_connection_is_closed_without_a_word(start, listen):
    server = start("--keep-alive-timeout", "1", listen=listen)

    def ask(connection):
        assert connection.ask(*PING).status == 200

    seconds, said = end_of(server, ask)
    assert said == b""
    assert 0.5 < seconds < LATE


@pytest.mark.parametrize("target", ["/native/whole", "/flask/stream"])
def test_a_body_that_pauses_too_long_is_cut(start, target):
    server = start("--body-timeout", "1")
    half = build_request("POST", target, body=b"x" * 1_000_000)[:500_000]
    seconds, said = end_of(server, lambda connection: connection.send(half))
    assert said.startswith(b"HTTP/1.1 408 ") or said == b""
    assert 0.5 < seconds < LATE


def test_a_body_that_comes_too_slowly_is_cut(start):
    """It never pauses; but the rate is required as soon as the longest pause allowed would be over."""
    server = start("--body-timeout", "0.5", "--body-rate", "100000")
    with server.connect() as connection:
        begun = time.monotonic()
        connection.send_head("POST", "/native/whole", [("Content-Length", "1000000")])
        while time.monotonic() - begun < LATE and connection.is_silent(0.1):
            connection.send(b"x" * 100)
        assert connection.everything().startswith(b"HTTP/1.1 408 ")
        assert 0.5 < time.monotonic() - begun < LATE


def test_a_slow_body_may_take_its_time_where_no_rate_is_asked_for(start):
    server = start("--body-timeout", "2", "--body-rate", "0")
    with server.connect() as connection:
        connection.send_head("POST", "/native/whole", [("Content-Length", "16")])
        for _ in range(16):
            connection.send(b"x")
            time.sleep(0.2)
        assert connection.reply().text == "16"


@pytest.mark.parametrize("path", ["/flood?id=none", "/native/flood"])
def test_a_client_that_takes_nothing_of_its_reply_is_cut_and_has_not_left(start_server, path):
    names = ("--native", "tests.apps.natives:routes", "--wsgi", "tests.apps.streaming:app")
    server = start_server(*names, "--write-timeout", "1", listen=OURS)
    with server.connect(receive_buffer=4096) as connection:
        connection.send_request("GET", path)
        (line,) = server.log_lines(f"GET {path} 200 ")
        assert line.endswith(" too-slow")


# --- which server knows which --------------------------------------------------------------------------


def test_httptools_is_another_word_for_our_own_server(start):
    server = start("--limit-request-line", "100", listen=(*ADDRESS, "--server", "httptools"))
    assert answer_to(server, target="/native/ping?" + "x" * 100) == 414


@pytest.mark.parametrize(
    ("words", "variables", "text"),
    [
        (("--head-timeout", "1"), {}, "--head-timeout does not work with --server tornado"),
        ((), {"WATERSPOUT_BODY_RATE": "9"}, "WATERSPOUT_BODY_RATE does not work with --server tornado"),
    ],
)
def test_what_tornado_s_server_does_not_know_is_refused(tmp_path, words, variables, text):
    done = subprocess.run(
        [sys.executable, "-m", "waterspout", "serve", *SERVE, *TORNADO, *words],
        cwd=ROOT,
        env=environment(tmp_path, variables),
        capture_output=True,
        text=True,
        timeout=START_DEADLINE,
        check=False,
    )
    (line,) = done.stderr.splitlines()
    assert (done.returncode, text in line) == (2, True)


def test_the_service_takes_the_same_options(start_server, tmp_path):
    """`python -m app`."""
    run = "import os, sys; os.execv(sys.executable, [sys.executable, '-m', 'app', *sys.argv[4:]])"
    server = start_server(
        *("--limit-request-line", "100"),
        listen=("--unix", str(tmp_path / "s"), "--server", "httptools"),
        python=("-c", run),
        env={"BOARD_FOLDER": str(tmp_path)},
    )
    for target, status in (("/healthz", 200), ("/" + "x" * 100, 414)):
        with connect_unix(tmp_path / "s") as connection:
            assert connection.ask("GET", target, [("Host", "127.0.0.1")]).status == status
    server.stop()
    assert not os.path.exists(tmp_path / "s")
