import asyncio

import pytest

import handlers
import waterspout
from app.store.components import add_component
from app.store.incidents import add_update
from app.store.tables import State
from tests.app.databases import post_incidents
from waterspout.native import cache

PATHS = ["/api/incidents", "/api/incidents/1", "/badge.svg", "/badge.svg?component=Harbour", "/feed.atom"]


class CountingStore:
    """A store that counts how often it was asked."""

    def __init__(self, async_store):
        self.async_store = async_store
        self.asked = 0

    def __getattr__(self, name):
        self.asked += 1
        return getattr(self.async_store, name)


@pytest.fixture
def counting_store(async_store):
    return CountingStore(async_store)


class Clock:
    """Stands in for `time` where documents are kept."""

    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cache, "time", clock)
    return clock


@pytest.fixture
def app(io_loop, counting_store, clock):
    """The native side with the cache as it is served."""
    app = waterspout.Application(native=handlers.routes, **handlers.build_resources(counting_store))
    yield app
    io_loop.run_sync(app.stop)


@pytest.mark.gen_test
async def test_a_crowd_costs_one_query(http_client, base_url, store, counting_store):
    post_incidents(store, 2)
    url = base_url + "/api/incidents"
    http_client.max_clients = 50
    first = await asyncio.gather(*(http_client.fetch(url) for _ in range(50)))
    assert counting_store.asked == 1
    assert len({response.body for response in first}) == 1


@pytest.mark.gen_test
async def test_it_is_kept_for_a_second(http_client, base_url, store, clock):
    (incident_id,) = post_incidents(store, 1)
    url = base_url + "/api/incidents"
    first = await http_client.fetch(url)
    store.write(add_update, incident_id, State.RESOLVED, "Done.")
    clock.now += 0.9
    assert (await http_client.fetch(url)).body == first.body
    clock.now += 0.1
    assert (await http_client.fetch(url)).body != first.body


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_what_has_not_changed_is_not_sent_again(http_client, base_url, store, path):
    post_incidents(store, 1)
    store.write(add_component, "Harbour")
    first = await http_client.fetch(base_url + path)
    assert first.headers["Cache-Control"] == "public, max-age=1"
    for tag in (first.headers["Etag"], "W/" + first.headers["Etag"], f'"x", {first.headers["Etag"]}', "*"):
        again = await http_client.fetch(base_url + path, headers={"If-None-Match": tag}, raise_error=False)
        assert (again.code, again.body) == (304, b"")
        assert again.headers["Etag"] == first.headers["Etag"]
    assert (await http_client.fetch(base_url + path, headers={"If-None-Match": '"x"'})).body == first.body


@pytest.mark.gen_test
@pytest.mark.parametrize("path", PATHS)
async def test_head_is_answered_without_a_body(http_client, base_url, store, path):
    post_incidents(store, 1)
    store.write(add_component, "Harbour")
    response = await http_client.fetch(base_url + path, method="HEAD")
    assert (response.code, response.body) == (200, b"")
    assert response.headers["Etag"]
