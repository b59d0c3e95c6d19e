"""The fixture that applications use in their own tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import waterspout
from tests.waterspout.natives import routes
from waterspout import Application, testing

started_app = testing.started_app


@pytest.fixture(params=[0, 1])
def app(request):
    """Parametrised, as many are."""
    return Application(
        native=routes, wsgi="tests.waterspout.wsgi.apps:app", wsgi_threads=1, wsgi_workers=request.param
    )


@pytest.mark.gen_test
async def test_the_application_is_started_before_the_first_request(started_app, app, http_client, base_url):
    assert started_app is app
    job = http_client.fetch(base_url + "/hello")
    assert (await job).body == b"hello"


@pytest.mark.gen_test
async def test_the_wsgi_app_is_there(started_app, http_client, base_url):
    assert (await http_client.fetch(base_url + "/identity")).code == 200


def run_tests(folder, *arguments):
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments, "-W"]
    ignored = "ignore::DeprecationWarning"
    environment = os.environ | {"PYTHONPATH": str(Path(waterspout.__file__).parent.parent)}
    done = subprocess.run(
        [*command, ignored], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def test_the_application_may_have_another_fixture(tmp_path):
    said = run_tests(tmp_path, "--app-fixture", "site")
    assert "1 passed" in said, said


def test_what_is_no_application_is_told_how_to_name_one(tmp_path):
    said = run_tests(tmp_path)
    assert "app is not a waterspout.Application: name the fixture with --app-fixture" in said, said
    assert "has no attribute" not in said


CONFTEST = """
import pytest, waterspout
from waterspout import testing

started_app = testing.started_app

@pytest.fixture
def app():
    return "what Flask's own tests call so"

@pytest.fixture
def site():
    return waterspout.Application(wsgi="tests.waterspout.wsgi.apps:app", wsgi_workers=0)
"""
TEST = """
import pytest

@pytest.mark.gen_test
async def test_it(started_app, http_client, base_url, site):
    assert started_app is site
    assert (await http_client.fetch(base_url + "/hello")).body == b"hello"
"""
