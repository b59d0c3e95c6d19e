import http.client
import json
import re
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from importlib import metadata

import pytest

from app.__main__ import PACKAGES
from app.settings import ROOT
from tests.app.operating import Operator, read_password
from tests.app.serving import EXAMPLES, FORMS, START_TIMEOUT, serve_board, start_board, wait_for_address
from tests.server import without_waiting


@pytest.fixture(scope="module", params=FORMS)
def board(request, tmp_path_factory):
    """A board that is only read."""
    with serve_board(tmp_path_factory.mktemp("board"), *FORMS[request.param]) as address:
        yield address


@pytest.fixture(params=FORMS)
def address(request, tmp_path):
    with serve_board(tmp_path, *FORMS[request.param]) as address:
        yield address


def get_json(url: str):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


STORM = {"title": "Storm", "state": "investigating", "impact": "major", "text": "Wind of force 12."}


def read_event(stream) -> dict[str, str]:
    """Return the next event, skipping beats."""
    fields: dict[str, str] = {}
    while line := stream.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    assert fields, "the stream has ended"
    return read_event(stream) if fields["event"] == "beat" else fields


def test_both_sides_answer_on_one_port(board):
    assert get_json(f"{board}/healthz") == {"status": "ok"}
    assert len(get_json(f"{board}/api/incidents")) == len(EXAMPLES)
    with urllib.request.urlopen(board, timeout=10) as response:
        page = response.read().decode()
    assert all(example["title"] in page for example in EXAMPLES)


def test_a_missing_extra_is_named_in_one_line():
    hidden = "import runpy, sys; sys.modules['argon2'] = None; runpy.run_module('app', run_name='__main__')"
    found = subprocess.run(
        [sys.executable, "-c", hidden], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    said = "python -m app: there is no package argon2: install the extra app, pip install '.[app]'\n"
    assert (found.returncode, found.stderr) == (2, said)


def test_all_that_the_extra_brings_is_looked_for():
    required = [line for line in metadata.requires("waterspout") if re.search("extra == .app.", line)]
    wanted = sorted(re.match(r"[\w-]+", line)[0].lower() for line in required)
    brought = metadata.packages_distributions()
    assert sorted(brought[name][0].lower() for name in PACKAGES) == wanted


def test_what_flask_takes_the_stream_tells_within_a_second(address, tmp_path):
    operator = Operator(address, *read_password(tmp_path))
    with urllib.request.urlopen(f"{address}/api/stream", timeout=10) as stream:
        assert stream.readline().startswith(b"retry: ")
        waited = []
        # In the best of a few: a busy machine delays some, a fault all.
        while not waited or (min(waited) >= 1 and len(waited) < 5):
            begun = time.monotonic()
            page = operator.post(**STORM)
            event = read_event(stream)
            waited.append(time.monotonic() - begun)
        assert min(waited) < 1, waited
    (incident,) = json.loads(event["data"])["incidents"]
    assert page == f"{address}/incidents/{incident['id']}"
    assert "Wind of force 12." in incident["html"]
    newest = get_json(f"{address}/api/incidents")[0]
    assert newest["title"] == "Storm"
    assert str(newest["updates"][0]["id"]) == event["id"].split(".")[0]


def test_the_page_and_the_stream_have_the_same_markup(board):
    with urllib.request.urlopen(f"{board}/api/stream?since=1", timeout=10) as stream:
        incidents = json.loads(read_event(stream)["data"])["incidents"]
    with urllib.request.urlopen(board, timeout=10) as response:
        page = response.read().decode()
    assert len(incidents) == len(EXAMPLES)
    for incident in incidents:
        assert incident["html"].strip() in page


def test_a_cross_site_post_is_refused(board):
    request = urllib.request.Request(
        f"{board}/admin/", data=b"title=x&state=resolved&text=x", headers={"Origin": "http://evil.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    assert refused.value.code == 403
    refused.value.close()


def test_a_readers_connection_does_not_hold_up_the_stop(tmp_path):
    with serve_board(tmp_path) as address:
        stream = urllib.request.urlopen(f"{address}/api/stream", timeout=10)
        stream.readline()
        begun = time.monotonic()
    assert time.monotonic() - begun < 20  # of the 30 that the graceful timeout gives
    stream.close()


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        (
            {"DATABASE_URL": "mysql://root:hunter2@localhost/board"},
            "DATABASE_URL: 'mysql://root:***@localhost/board' is a",
        ),
        ({"BOARD_NAME": "x" * 99}, "BOARD_NAME must have"),
        (
            {
                "BOARD_FOLDER": "/dev/null/board",
                "DATABASE_URL": "sqlite:////tmp/none",
                "SECRET_KEY": "k" * 32,
            },
            "BOARD_FOLDER /dev/null/board can't be created or used: Not a directory",
        ),
    ],
)
def test_an_unusable_environment_is_one_line_and_exit_code_2(tmp_path, environ, complaint):
    with start_board(tmp_path, **environ) as (server, log):
        assert server.wait(START_TIMEOUT) == 2
    (line,) = without_waiting(log.read_text()).splitlines()
    assert line.startswith(f"python -m app: {complaint}")
    assert "hunter2" not in line


def test_an_unusable_database_is_one_line(tmp_path):
    (tmp_path / "board.sqlite3").write_text("shopping list\n" * 100)
    with start_board(tmp_path) as (server, log):
        assert server.wait(START_TIMEOUT) == 3
    (line,) = without_waiting(log.read_text()).splitlines()
    assert "board.sqlite3 can't be used: file is not a database" in line


def test_the_help_makes_no_database(tmp_path):
    with start_board(tmp_path, "--help") as (server, log):
        assert server.wait(START_TIMEOUT) == 0
    assert "python -m app [OPTIONS]" in log.read_text()
    assert not (tmp_path / "board.sqlite3").exists()


def test_what_was_posted_is_there_after_a_restart(tmp_path):
    with serve_board(tmp_path) as address:
        Operator(address, *read_password(tmp_path)).post(**STORM)
    with serve_board(tmp_path) as address:
        assert get_json(f"{address}/api/incidents")[0]["title"] == "Storm"
    connection = sqlite3.connect(tmp_path / "board.sqlite3")
    assert connection.execute("SELECT count(*) FROM incident").fetchone() == (len(EXAMPLES) + 1,)
    connection.close()


def test_a_stranger_is_told_how_to_sign_in(tmp_path):
    with serve_board(tmp_path, "--wsgi-workers", "0") as address:
        log = (tmp_path / "server.log").read_text()
        assert "Sign in at" in log
        assert log.index("Password") < log.index(address)
        Operator(address, *read_password(tmp_path))
        first = read_password(tmp_path)
    with serve_board(tmp_path, "--wsgi-workers", "0"):
        assert read_password(tmp_path) == first


def test_a_gigabyte_is_refused_and_the_next_request_answered(address, tmp_path):
    """Announced and begun, as a browser does; the rest need not be sent to get the answer."""
    operator = Operator(address, *read_password(tmp_path))
    host, port = address.removeprefix("http://").split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    cookie = "; ".join(f"{each.name}={each.value}" for each in operator.cookies)
    connection.putrequest("POST", "/admin/")
    for name, value in {
        "Cookie": cookie,
        "Content-Type": "multipart/form-data; boundary=x",
        "Content-Length": str(2**30),
    }.items():
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * 30_000)
    reply = connection.getresponse()
    assert reply.status == 413
    assert b"10 MiB" in reply.read()
    connection.close()
    assert list((tmp_path / "attachments").glob("*")) == []
    assert operator.post(**STORM).startswith(f"{address}/incidents/")


def test_a_hundred_guesses_are_refused(address):
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    page = opener.open(f"{address}/login", timeout=20).read().decode()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
    statuses = []
    for n in range(100):
        body = urllib.parse.urlencode({"name": "operator", "password": f"guess {n}", "csrf_token": token})
        with pytest.raises(urllib.error.HTTPError) as refused:
            opener.open(f"{address}/login", data=body.encode(), timeout=20)
        statuses.append(refused.value.code)
        refused.value.close()
    assert statuses == [400] * 10 + [429] * 90
    assert 0 < int(refused.value.headers["Retry-After"]) <= 900


def test_what_was_posted_outlives_a_kill(tmp_path):
    with start_board(tmp_path) as (server, log):
        address = wait_for_address(server, log)
        Operator(address, *read_password(tmp_path)).post(**STORM)
        server.kill()
        server.wait()
    with serve_board(tmp_path) as address:
        assert get_json(f"{address}/api/incidents")[0]["title"] == "Storm"
