"""An extra that is not installed is named, with the one command that installs it."""

import subprocess
import sys

import pytest

from tests.server import ROOT

SQL = "needs the extra sql: pip install '/path/to/waterspout[sql]'"
POSTGRES = "needs the extra postgres: pip install '/path/to/waterspout[postgres]'"
ALEMBIC = "needs alembic for migrations: pip install alembic"


def say_without(package, code):
    """The last line that Python prints for `code` where the package is not installed."""
    missing = f"import sys; sys.modules[{package!r}] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", missing + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return [*done.stderr.splitlines(), ""][-2] if done.stderr else done.stdout.strip()


@pytest.mark.parametrize(
    ("package", "code", "said"),
    [
        ("sqlalchemy", "import waterspout.service.sql", SQL),
        ("sqlalchemy", "from waterspout.service.sql.url import parse_url", SQL),
        ("greenlet", "{}; AsyncStore(parse_url('sqlite:////nowhere/a.db'))", SQL),
        ("aiosqlite", "{}; AsyncStore(parse_url('sqlite:////nowhere/a.db'))", SQL),
        ("alembic", "import waterspout.service.sql.migrations", ALEMBIC),
        ("psycopg", "{}; Store(make_url('postgresql://nowhere/a'))", POSTGRES),
        ("psycopg", "{}; AsyncStore(make_url('postgresql://nowhere/a'))", POSTGRES),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(package, code, said):
    imports = "from sqlalchemy import make_url; from waterspout.service.sql import *"
    assert say_without(package, code.format(imports)) == f"ImportError: waterspout.service.sql {said}"


def test_what_else_is_missing_is_not_its_affair():
    said = say_without("uuid", "import waterspout.service.sql")
    assert said.startswith("ModuleNotFoundError: ")
    assert "uuid" in said


def test_the_blocking_side_needs_no_async_driver():
    code = "from waterspout.service.sql import *; Store(parse_url('sqlite:////nowhere/a.db')); print('made')"
    assert say_without("aiosqlite", code) == "made"
