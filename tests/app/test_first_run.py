import os
import sqlite3
import subprocess
import sys
import tomllib

import pytest
from sqlalchemy import URL, delete

from app import first_run
from app.first_run import EXAMPLE_OPERATOR, prepare_database
from app.passwords import PASSWORD_LENGTH, derive_password, is_password
from app.settings import ROOT, Settings
from app.store.history import Condition, read_history, read_statuses
from app.store.incidents import add_incident, read_board, read_cursor
from app.store.maintenance import read_maintenance
from app.store.operators import disable_operator, read_operators
from app.store.tables import TEXT_LENGTH, TITLE_LENGTH, Operator, Phase, State
from tests.app.databases import sqlite_url
from waterspout.service.sql import DatabaseError, Store

EXAMPLES = tomllib.loads(first_run.EXAMPLES.read_text())


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings.from_environment({"BOARD_FOLDER": str(tmp_path / "var")})


@pytest.fixture
def prepared(settings):
    prepare_database(settings)
    store = Store(settings.database_url)
    yield store
    store.close()


def test_a_new_file_has_the_examples(prepared):
    board = prepared.read(read_board)
    assert {incident.title for incident in board.incidents} == {
        example["title"] for example in EXAMPLES["incidents"]
    }
    assert board.open_count == 1
    assert board.incidents[0].open
    assert prepared.read(read_cursor) == sum(len(each["updates"]) for each in EXAMPLES["incidents"])


def test_examples_could_have_been_posted(prepared):
    for incident in prepared.read(read_board).incidents:
        moments = [update.posted_at for update in incident.recent_updates]
        assert moments == sorted(moments, reverse=True)
        assert incident.opened_at == moments[-1]
        assert len(incident.title) <= TITLE_LENGTH
        assert all(len(update.text) <= TEXT_LENGTH for update in incident.recent_updates)


def test_examples_are_newest_first(prepared):
    moments = [incident.opened_at for incident in prepared.read(read_board).incidents]
    assert moments == sorted(moments, reverse=True)


def test_there_are_components_and_maintenance_to_see(prepared):
    conditions = {each.component.name: each.condition for each in prepared.read(read_statuses)}
    assert list(conditions) == EXAMPLES["components"]
    assert conditions["File storage"] is Condition.MINOR
    (planned,) = prepared.read(read_maintenance)
    assert planned.phase is Phase.SCHEDULED
    for days in prepared.read(read_history).values():
        assert None not in [day.condition for day in days]


def test_its_operator_has_a_password_of_chance(prepared, settings):
    (operator,) = prepared.read(read_operators)
    assert operator.name == EXAMPLE_OPERATOR
    password = derive_password(settings.secret_key, EXAMPLE_OPERATOR)
    assert len(password) >= PASSWORD_LENGTH
    assert is_password(password, operator.password)
    assert not is_password(derive_password("x" * 32, EXAMPLE_OPERATOR), operator.password)


def test_an_example_without_operators_gets_one(prepared, settings):
    """Such as one of the first release."""
    prepared.write(lambda session: session.execute(delete(Operator)))
    prepare_database(settings)
    assert [operator.name for operator in prepared.read(read_operators)] == [EXAMPLE_OPERATOR]


def test_a_disabled_operator_is_not_replaced(prepared, settings):
    prepared.write(disable_operator, EXAMPLE_OPERATOR)
    prepare_database(settings)
    assert len(prepared.read(read_operators)) == 1


def test_a_database_that_somebody_named_is_their_own(tmp_path):
    url = sqlite_url(tmp_path / "board.sqlite3")
    prepare_database(Settings(url))
    store = Store(url)
    assert store.read(read_board).incidents == []
    assert store.read(read_operators) == []
    store.close()


def test_a_second_time_changes_nothing(prepared, settings):
    posted = prepared.write(add_incident, "Real", State.INVESTIGATING, "Not an example.")
    prepare_database(settings)
    assert prepared.read(read_cursor) == posted.id


def test_an_empty_file_counts_as_new(tmp_path):
    path = tmp_path / "board.sqlite3"
    path.touch()
    prepare_database(Settings(sqlite_url(path), example=True))
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM incident").fetchone() == (len(EXAMPLES["incidents"]),)
    connection.close()


def test_several_processes_at_once_make_one_database(tmp_path):
    environ = {"BOARD_FOLDER": str(tmp_path)}
    code = (
        "import os, sys; from app.first_run import prepare_database; from app.settings import Settings\n"
        "sys.stdout.write('ready'); sys.stdout.flush(); sys.stdin.read(1)\n"
        "prepare_database(Settings.from_environment(os.environ))"
    )
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **environ},
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
    store = Store(Settings.from_environment(environ).database_url)
    assert len(store.read(read_board).incidents) == len(EXAMPLES["incidents"])
    assert len(store.read(read_operators)) == 1
    store.close()


def test_a_file_that_can_not_be_used_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(DatabaseError, match="folder can't be used: unable to open database file"):
        prepare_database(Settings(sqlite_url(tmp_path / "folder")))


def test_a_server_that_is_not_there_is_named_without_the_password():
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    url = URL.create(
        "postgresql+psycopg", "board", "hunter2", "127.0.0.1", 1, "board", query={"connect_timeout": "2"}
    )
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/board") as refused:
        prepare_database(Settings(url))
    assert "hunter2" not in str(refused.value)
