import asyncio
import json
import time

import pytest
from tornado.simple_httpclient import HTTPTimeoutError

import waterspout
from app.store import TOPIC
from app.store.history import read_version
from app.store.incidents import add_update
from app.store.tables import State
from tests.app.databases import post_incidents
from tests.handlers.conftest import PATIENCE


@pytest.fixture
def poll(http_client, base_url):
    async def poll(query=""):
        response = await http_client.fetch(f"{base_url}/api/poll{query}", raise_error=False)
        assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
        assert response.headers["Cache-Control"] == "no-store"
        return response.code, json.loads(response.body)

    return poll


@pytest.mark.gen_test
async def test_without_a_cursor_it_says_where_to_begin(poll, store):
    post_incidents(store, 2)
    status, reply = await poll()
    assert (status, reply["events"]) == (200, [])
    assert store.read(read_version) == reply["cursor"]


@pytest.mark.gen_test
async def test_what_is_newer_is_answered_at_once(poll, store):
    _, second = post_incidents(store, 2)
    _, reply = await poll("?since=1")
    (event,) = reply["events"]
    assert event["event"] == "changes"
    assert [incident["id"] for incident in event["data"]["incidents"]] == [second]
    assert event["cursor"] == reply["cursor"]


@pytest.mark.gen_test
async def test_it_waits_for_news(poll, store, app):
    app.settings["patience"] = 60
    (incident_id,) = post_incidents(store, 1)
    _, begin = await poll()
    waiting = asyncio.create_task(poll(f"?since={begin['cursor']}"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    update = store.write(add_update, incident_id, State.RESOLVED, "Done.")
    waterspout.publish(TOPIC, {"update": update.id})
    _, reply = await waiting
    assert reply["events"][0]["data"]["incidents"][0]["id"] == incident_id
    assert reply["cursor"].startswith(f"{update.id}.")


@pytest.mark.gen_test
async def test_in_the_end_it_says_that_there_is_nothing(poll):
    _, begin = await poll()
    began = time.monotonic()
    assert await poll(f"?since={begin['cursor']}") == (200, begin)
    assert time.monotonic() - began >= PATIENCE - 0.05


@pytest.mark.gen_test
async def test_who_does_not_want_to_wait_need_not(poll, app):
    app.settings["patience"] = 60
    _, begin = await poll()
    assert await poll(f"?since={begin['cursor']}&wait=0") == (200, begin)


@pytest.mark.gen_test
async def test_a_cursor_of_another_database_means_reload(poll, store):
    post_incidents(store, 1)
    _, reply = await poll("?since=4000000000")
    assert reply["events"] == [{"event": "reload", "cursor": reply["cursor"], "data": {}}]


@pytest.mark.gen_test
async def test_when_no_place_is_left_there_is_503_but_no_update_is_missed(poll, store, app):
    post_incidents(store, 1)
    watch = app.settings["watch"]
    with watch.follow(60) as other:
        await other.begin(None)
        watch._limit = 1
        status, reply = await poll(f"?since={store.read(read_version)}")
        assert (status, reply) == (503, {"error": "Service Unavailable"})
        status, reply = await poll("?since=0")
        assert (status, len(reply["events"])) == (200, 1)


@pytest.mark.gen_test
async def test_who_leaves_frees_its_place(http_client, base_url, app, poll):
    app.settings["patience"] = 60
    _, begin = await poll()
    url = f"{base_url}/api/poll?since={begin['cursor']}"
    with pytest.raises(HTTPTimeoutError):
        await http_client.fetch(url, request_timeout=0.2)
    async with asyncio.timeout(5):
        while app.settings["watch"]._followers:
            await asyncio.sleep(0.01)
