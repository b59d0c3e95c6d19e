"""The code of docs/testing.md is run as it stands there, on the package of the README."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_readme import FLASK_APP, README

ROOT = README.parent
DOCUMENT = ROOT / "docs" / "testing.md"
FILES = {
    re.match(r"# (tests/\w+\.py)\n", block)[1]: block
    for block in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), flags=re.S)
}
#: As in docs/routing.md.
ACCOUNTS = """
from types import SimpleNamespace

import waterspout
from flask import Flask
from tornado.web import RequestHandler
from waterspout.service.sessions import FlaskSessions

keys = Flask("yourpackage")
keys.secret_key = "a key"
sessions = FlaskSessions(keys)


async def load_user(handler):
    return SimpleNamespace(name="anna") if sessions.read(handler).get("_user_id") == "7" else None


@waterspout.authenticated
class Mine(RequestHandler):
    def get(self):
        self.write({"of": self.current_user.name})


routes = [("/mine", Mine)]
"""
PYTEST_INI, COVERAGE_RC = re.findall(r"```ini\n(.*?)```", DOCUMENT.read_text(), flags=re.S)


@pytest.fixture
def project(tmp_path):
    native, application, _, view = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    package = {"__init__": "", "web": FLASK_APP + view, "native": native, "main": application}
    package["accounts"] = ACCOUNTS
    files = {f"yourpackage/{name}.py": code for name, code in package.items()}
    for path, code in (files | FILES | {"pytest.ini": PYTEST_INI, ".coveragerc": COVERAGE_RC}).items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(code)
    return tmp_path


def run(project, *command):
    path = os.pathsep.join([str(project), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=project,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("file", [path for path in FILES if "/test_" in path])
def test_each_file_passes(project, file):
    assert " passed" in run(project, "pytest", "-q", file)


def test_all_of_them_pass_together(project):
    """Each that serves has stopped before the next one serves, or has an application of its own."""
    assert " passed" in run(project, "pytest", "-q")


def test_unittest_finds_its_own(project):
    assert "Ran 2 tests" in run(project, "unittest", "discover", "-s", "tests", "-p", "test_cases.py")


def test_the_views_of_a_wsgi_process_are_covered(project):
    run(project, "coverage", "run", "-m", "pytest", "-q", "tests/test_both_sides.py")
    run(project, "coverage", "combine")
    assert re.search(r"yourpackage/web.py .* 100%", run(project, "coverage", "report"))


def test_every_block_is_run():
    blocks = len(re.findall(r"^```\w", DOCUMENT.read_text(), flags=re.M))
    assert blocks == len(FILES) + 2
    assert all(Path(path).parent.name == "tests" for path in FILES)
