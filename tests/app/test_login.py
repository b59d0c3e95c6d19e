"""An operator who signed in at Flask is known to native handlers."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from app.login import Login
from app.passwords import hash_password
from app.store.operators import add_operator, disable_operator
from waterspout.service.sql import Store
from wsgi_app import create_app

PASSWORD = "correct horse battery"


@pytest.fixture
def store(app, settings):
    store = Store(settings.database_url)
    yield store
    store.close()


@pytest.fixture
def cookie(store, settings) -> str:
    """The session of an operator who has just signed in, at a Flask app with the same key."""
    store.write(add_operator, "anna", hash_password(PASSWORD))
    flask_app = create_app(settings)
    client = flask_app.test_client()
    token = re.search(r'name="csrf_token" value="([^"]+)"', client.get("/login").text)[1]
    reply = client.post("/login", data={"name": "anna", "password": PASSWORD, "csrf_token": token})
    assert reply.status_code == 303
    flask_app.extensions["store"].close()
    return f"board={client.get_cookie('board').value}"


async def ask(http_client, base_url, **headers):
    options = {"raise_error": False, "follow_redirects": False}
    return await http_client.fetch(base_url + "/api/readers", headers=headers, **options)


@pytest.mark.gen_test
async def test_an_operator_hears_how_many_read(http_client, base_url, cookie):
    reply = await ask(http_client, base_url, Cookie=cookie)
    assert (reply.code, json.loads(reply.body)) == (200, {"readers": 0})


@pytest.mark.gen_test
async def test_others_are_told_to_sign_in(http_client, base_url, cookie):
    for wrong in ("", "board=", "board=x.y.z", cookie[:-2], cookie.replace("board=", "other=")):
        reply = await ask(http_client, base_url, Cookie=wrong)
        assert (reply.code, json.loads(reply.body)) == (401, {"error": "Unauthorized"})


@pytest.mark.gen_test
async def test_who_is_disabled_is_not_known_any_more(http_client, base_url, cookie, store):
    store.write(disable_operator, "anna")
    assert (await ask(http_client, base_url, Cookie=cookie)).code == 401


@pytest.mark.gen_test
async def test_a_key_of_another_board_counts_for_nothing(http_client, base_url, cookie, settings, io_loop):

    login = Login(replace(settings, secret_key="k" * 32), None)

    class Handler:
        request = SimpleNamespace(headers=HTTPHeaders({"Cookie": cookie}))

    assert await login(Handler()) is None
