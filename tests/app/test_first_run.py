import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import URL

from app.database import DatabaseError
from app.first_run import EXAMPLES, prepare_database
from app.settings import ROOT
from app.store import TEXT_LENGTH, TITLE_LENGTH, State, Store


@pytest.fixture
def url(tmp_path) -> URL:
    return URL.create("sqlite", database=str(tmp_path / "var" / "board.sqlite3"))


@pytest.fixture
def prepared(url):
    prepare_database(url)
    store = Store(url)
    yield store
    store.close()


def test_a_new_file_has_the_examples(prepared):
    board = prepared.board()
    assert {incident.title for incident in board.incidents} == {example.title for example in EXAMPLES}
    assert board.open_count == 1
    assert board.incidents[0].open
    assert board.cursor == sum(len(example.updates) for example in EXAMPLES)


def test_examples_could_have_been_posted(prepared):
    for incident in prepared.board().incidents:
        moments = [update.posted_at for update in incident.recent_updates]
        assert moments == sorted(moments, reverse=True)
        assert incident.opened_at == moments[-1]
        assert len(incident.title) <= TITLE_LENGTH
        assert all(len(update.text) <= TEXT_LENGTH for update in incident.recent_updates)


def test_examples_are_newest_first(prepared):
    moments = [incident.opened_at for incident in prepared.board().incidents]
    assert moments == sorted(moments, reverse=True)


def test_a_second_time_changes_nothing(prepared, url):
    posted = prepared.post_incident("Real", State.INVESTIGATING, "Not an example.")
    prepare_database(url)
    assert prepared.cursor() == posted.id


def test_an_empty_file_counts_as_new(tmp_path):
    path = tmp_path / "board.sqlite3"
    path.touch()
    prepare_database(URL.create("sqlite", database=str(path)))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM incident").fetchone() == (len(EXAMPLES),)
    connection.close()


def test_several_processes_at_once_make_one_database(url):
    code = (
        "import sys; from sqlalchemy import make_url; from app.first_run import prepare_database\n"
        "sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read(1)\n"
        "prepare_database(make_url(sys.argv[1]))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(url)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(5)
    ]
    for racer in racers:
        assert racer.stdout.read(5) == b"ready"
    for racer in racers:
        racer.stdin.write(b"!")
        racer.stdin.flush()
    for racer in racers:
        _, complaints = racer.communicate(timeout=30)
        assert (racer.returncode, complaints) == (0, b"")
    store = Store(url)
    assert len(store.board().incidents) == len(EXAMPLES)
    store.close()


def test_a_file_that_can_not_be_used_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseError, match="folder can't be used: unable to open database file"):
        prepare_database(URL.create("sqlite", database=str(tmp_path / "folder")))


def test_a_server_that_is_not_there_is_named_without_the_password():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    url = URL.create(
        "postgresql+psycopg", "board", "hunter2", "127.0.0.1", 1, "board", query={"connect_timeout": "2"}
    )
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/board") as refused:
        prepare_database(url)
    assert "hunter2" not in str(refused.value)
