"""The whole service on PostgreSQL, where the environment names a database for tests (see `databases`)."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.first_run import prepare_database
from app.settings import ROOT, Settings, parse_database_url
from app.store.incidents import read_board
from app.store.tables import Base
from tests.app.databases import POSTGRESQL, drop_everything
from tests.app.operating import Operator
from tests.app.serving import start_board, wait_for_address
from waterspout.service.sql import Store, make_engine

pytestmark = pytest.mark.skipif(not os.environ.get(POSTGRESQL), reason=f"{POSTGRESQL} names no database")

PASSWORD = "correct horse battery"
KEY = "k" * 32


@pytest.fixture
def url():
    """A database as the administrator has made it: without tables."""
    url = parse_database_url(os.environ[POSTGRESQL])
    drop_everything(url)
    return url


@pytest.fixture
def environ(url):
    return {"DATABASE_URL": url.render_as_string(hide_password=False), "SECRET_KEY": KEY}


def run_flask(environ, *arguments: str, answers: str = "") -> None:
    command = [sys.executable, "-m", "flask", "--app", "wsgi_app", *arguments]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environ}, input=answers, text=True, timeout=60, check=True
    )


def test_the_tables_are_those_of_the_code(url):
    for _ in range(2):
        prepare_database(Settings(url))
    engine = make_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_it_gets_no_examples(url):
    prepare_database(Settings(url))
    store = Store(url)
    assert store.read(read_board).incidents == []
    store.close()


def test_the_boards_story(environ, tmp_path):
    """Made and given an operator at the command line, served, posted to; killed, and nothing is lost."""
    run_flask(environ, "upgrade")
    run_flask(environ, "create-operator", "anna", answers=f"{PASSWORD}\n{PASSWORD}\n")
    with start_board(tmp_path, **environ) as (server, log):
        address = wait_for_address(server, log)
        operator = Operator(address, "anna", PASSWORD)
        operator.post(title="Storm", state="identified", impact="major", text="Wind of force 12.")
        server.send_signal(signal.SIGKILL)
        server.wait()
    with start_board(tmp_path, **environ) as (server, log):
        address = wait_for_address(server, log)
        with urllib.request.urlopen(f"{address}/api/incidents", timeout=10) as response:
            assert [incident["title"] for incident in json.load(response)] == ["Storm"]
        assert "Password" not in log.read_text()
