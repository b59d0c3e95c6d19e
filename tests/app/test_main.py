import json
import sqlite3
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

from app.first_run import EXAMPLES
from tests.app.serving import FORMS, START_TIMEOUT, serve_board, start_board


@pytest.fixture(params=FORMS)
def address(request, tmp_path):
    with serve_board(tmp_path, *FORMS[request.param]) as address:
        yield address


def get_json(url: str):
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def post(address: str, **form: str) -> str:
    """Post the form as a browser does; return the address of the page that it ends on."""
    body = urllib.parse.urlencode(form).encode()
    with urllib.request.urlopen(f"{address}/admin/", data=body, timeout=10) as response:
        return response.url


def read_event(stream) -> dict[str, str]:
    """Return the next event, past beats."""
    fields: dict[str, str] = {}
    while line := stream.readline().decode().rstrip("\n"):
        name, _, value = line.partition(": ")
        fields[name] = value
    assert fields, "the stream has ended"
    return read_event(stream) if fields["event"] == "beat" else fields


def test_both_sides_answer_on_one_port(address):
    assert get_json(f"{address}/healthz") == {"status": "ok"}
    assert len(get_json(f"{address}/api/incidents")) == len(EXAMPLES)
    with urllib.request.urlopen(address, timeout=10) as response:
        page = response.read().decode()
    assert all(example.title in page for example in EXAMPLES)


def test_what_flask_takes_the_stream_tells_within_a_second(address):
    with urllib.request.urlopen(f"{address}/api/stream", timeout=10) as stream:
        assert stream.readline().startswith(b"retry: ")
        begun = time.monotonic()
        page = post(address, title="Storm", state="investigating", text="Wind of force 12.")
        event = read_event(stream)
        assert time.monotonic() - begun < 1
    (incident,) = json.loads(event["data"])["incidents"]
    assert page == f"{address}/incidents/{incident['id']}"
    assert "Wind of force 12." in incident["html"]
    newest = get_json(f"{address}/api/incidents")[0]
    assert newest["title"] == "Storm"
    assert str(newest["updates"][0]["id"]) == event["id"].split(".")[0]


def test_the_page_and_the_stream_have_the_same_markup(address):
    with urllib.request.urlopen(f"{address}/api/stream?since=1", timeout=10) as stream:
        incidents = json.loads(read_event(stream)["data"])["incidents"]
    with urllib.request.urlopen(address, timeout=10) as response:
        page = response.read().decode()
    assert len(incidents) == len(EXAMPLES)
    for incident in incidents:
        assert incident["html"].strip() in page


def test_a_cross_site_post_is_refused(address):
    request = urllib.request.Request(
        f"{address}/admin/", data=b"title=x&state=resolved&text=x", headers={"Origin": "http://evil.example"}
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
    assert time.monotonic() - begun < 10
    stream.close()


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"DATABASE_URL": "mysql://root:hunter2@localhost/board"}, "DATABASE_URL starts with mysql"),
        ({"BOARD_NAME": "x" * 99}, "BOARD_NAME must have"),
    ],
)
def test_an_unusable_environment_is_one_line_and_exit_code_2(tmp_path, environ, complaint):
    with start_board(tmp_path, **environ) as (server, log):
        assert server.wait(START_TIMEOUT) == 2
    (line,) = log.read_text().splitlines()
    assert line.startswith(f"python -m app: {complaint}")
    assert "hunter2" not in line


def test_an_unusable_database_is_one_line(tmp_path):
    (tmp_path / "board.sqlite3").write_text("shopping list\n" * 100)
    with start_board(tmp_path) as (server, log):
        assert server.wait(START_TIMEOUT) == 3
    (line,) = log.read_text().splitlines()
    assert "board.sqlite3 can't be used: file is not a database" in line


def test_the_help_makes_no_database(tmp_path):
    with start_board(tmp_path, "--help") as (server, log):
        assert server.wait(START_TIMEOUT) == 0
    assert "python -m app [OPTIONS]" in log.read_text()
    assert not (tmp_path / "board.sqlite3").exists()


def test_what_was_posted_is_there_after_a_restart(tmp_path):
    with serve_board(tmp_path) as address:
        post(address, title="Storm", state="investigating", text="Wind of force 12.")
    with serve_board(tmp_path) as address:
        assert get_json(f"{address}/api/incidents")[0]["title"] == "Storm"
    connection = sqlite3.connect(tmp_path / "board.sqlite3")
    assert connection.execute("SELECT count(*) FROM incident").fetchone() == (len(EXAMPLES) + 1,)
    connection.close()
