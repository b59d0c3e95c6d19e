"""The fixture that applications use in their own tests."""

import pytest

from tests.waterspout.natives import routes
from waterspout import Application, testing

started_app = testing.started_app


@pytest.fixture
def app():
    return Application(native=routes, wsgi="tests.waterspout.wsgi.apps:app", wsgi_threads=1, wsgi_workers=0)


@pytest.mark.gen_test
async def test_the_application_is_started_before_the_first_request(started_app, app, http_client, base_url):
    assert started_app is app
    job = http_client.fetch(base_url + "/hello")
    assert (await job).body == b"hello"


@pytest.mark.gen_test
async def test_the_wsgi_app_is_there(started_app, http_client, base_url):
    assert (await http_client.fetch(base_url + "/identity")).code == 200
