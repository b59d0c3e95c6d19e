import io
import os
import subprocess
import sys
import time

import pytest

from app.passwords import is_password
from app.settings import ROOT
from app.store.incidents import read_incident
from app.store.operators import find_invitation, find_operator, read_operators
from tests.app.databases import post_incidents
from tests.wsgi_app.conftest import PASSWORD, PNG

TWICE = f"{PASSWORD}\n{PASSWORD}\n"


@pytest.fixture
def run(flask_app):
    runner = flask_app.test_cli_runner()

    def run(*arguments, answers=""):
        return runner.invoke(args=list(arguments), input=answers)

    return run


def test_an_operator_is_made(run, store):
    result = run("create-operator", " anna  b ", answers=TWICE)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    assert is_password(PASSWORD, store.read(find_operator, "anna b").password)


@pytest.mark.parametrize(
    ("name", "answers", "complaint"),
    [
        ("anna", TWICE, "of this name already"),
        ("bert", "short\nshort\n", "12 characters or more"),
        ("", "", "Give a name"),
        ("a\x07b", "", "Remove the control characters"),
        ("x" * 61, "", "Shorten this to 60 characters"),
    ],
)
def test_what_will_not_do_is_one_line(run, store, anna, name, answers, complaint):
    result = run("create-operator", name, answers=answers)
    assert result.exit_code == 1
    assert complaint in result.output.splitlines()[-1]
    assert len(store.read(read_operators)) == 1


def test_a_password_is_changed(run, store, anna):
    other = "another battery"
    assert run("set-password", "anna", answers=f"{other}\n{other}\n").exit_code == 0
    assert is_password(other, store.read(find_operator, "anna").password)
    assert "no operator bert" in run("set-password", "bert", answers=TWICE).output


def test_a_link_is_printed(run, store):
    result = run("invite")
    assert result.exit_code == 0
    store.read(find_invitation, result.stdout.strip().removeprefix("/join/"))


@pytest.mark.parametrize("root_path", ["/status", "/status/"])
def test_the_link_is_below_what_the_board_is_mounted_under(tmp_path, root_path):
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/board.sqlite3", "SECRET_KEY": "k" * 32}
    assert run_flask(environ, "upgrade").returncode == 0
    below = {"BOARD_URL": "https://example.org", "WATERSPOUT_ROOT_PATH": root_path}
    assert run_flask(environ | below, "invite").stdout.startswith("https://example.org/status/join/")


def test_operators_are_listed_and_disabled(run, operator):
    assert run("disable-operator", "anna").exit_code == 0
    name, _, state = run("list-operators").output.strip().split("\t")
    assert name == "anna"
    assert state.startswith("disabled 20")
    assert operator.get("/admin/").status_code == 302
    assert run("disable-operator", "bert").exit_code == 1


def test_files_that_no_update_has_are_swept(run, operator, store, settings):
    """Those of a process that was killed between storing a file and the commit."""
    post_incidents(store, 1)
    update = {"incident": "1", "state": "identified", "text": "See.", "files": [(io.BytesIO(PNG), "a.png")]}
    assert operator.post("/admin/", data=update).status_code == 303
    folder = settings.folder / "attachments"
    orphan, young = folder / ("0" * 32), folder / ("1" * 32)
    for path in (orphan, young):
        path.write_bytes(PNG)
    for path in set(folder.iterdir()) - {young}:
        os.utime(path, (time.time() - 7200,) * 2)
    assert run("sweep").output == "1 removed.\n"
    (attachment,) = store.read(read_incident, 1).updates[0].attachments
    assert {path.name for path in folder.iterdir()} == {attachment.stored_as, young.name}


def run_flask(environ, *arguments: str) -> subprocess.CompletedProcess[str]:
    """As people do it, from the shell."""
    command = [sys.executable, "-m", "flask", "--app", "wsgi_app", *arguments]
    environ = {**os.environ, **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60)


def test_the_database_is_made_by_a_command(tmp_path):
    environ = {"DATABASE_URL": f"sqlite:///{tmp_path}/board.sqlite3", "SECRET_KEY": "k" * 32}
    early = run_flask(environ, "list-operators")
    assert early.returncode == 1
    assert "flask --app wsgi_app upgrade" in early.stderr
    assert "Traceback" not in early.stderr
    for _ in range(2):
        done = run_flask(environ, "upgrade")
        assert (done.returncode, done.stdout) == (0, "The database is up to date.\n")
    assert run_flask(environ, "list-operators").stdout == ""


def test_an_unusable_environment_is_said_without_a_traceback(tmp_path):
    done = run_flask({"DATABASE_URL": f"sqlite:///{tmp_path}/board.sqlite3"}, "upgrade")
    assert done.returncode != 0
    assert "SECRET_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "board.sqlite3").exists()
