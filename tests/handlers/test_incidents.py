import json
from datetime import datetime

import pytest

from app.store import INCIDENTS_LISTED, UPDATES_LISTED, State
from tests.app.databases import post_incidents


async def fetch_incidents(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/incidents")
    assert response.headers["Content-Type"] == "application/json; charset=UTF-8"
    return json.loads(response.body)


@pytest.mark.gen_test
async def test_it_may_be_empty(http_client, base_url):
    assert await fetch_incidents(http_client, base_url) == []


@pytest.mark.gen_test
async def test_an_incident_with_its_updates(http_client, base_url, store):
    first = store.post_incident("Slow <downloads>", State.INVESTIGATING, "Wir prüfen.\n🌪")
    second = store.post_update(first.incident_id, State.IDENTIFIED, "Found.")
    (incident,) = await fetch_incidents(http_client, base_url)
    updates = incident.pop("updates")
    opened_at = incident.pop("opened_at")
    assert incident == {
        "id": first.incident_id,
        "title": "Slow <downloads>",
        "state": "identified",
        "url": f"/incidents/{first.incident_id}",
        "update_count": 2,
    }
    assert [update["id"] for update in updates] == [second.id, first.id]
    assert updates[1]["text"] == "Wir prüfen.\n🌪"
    assert updates[1]["state"] == "investigating"
    assert updates[1]["posted_at"] == opened_at
    assert datetime.fromisoformat(opened_at).utcoffset().total_seconds() == 0


@pytest.mark.gen_test
async def test_open_ones_come_first(http_client, base_url, store):
    first, second = post_incidents(store, 2)
    store.post_update(second, State.RESOLVED, "Done.")
    incidents = await fetch_incidents(http_client, base_url)
    assert [incident["id"] for incident in incidents] == [first, second]


@pytest.mark.gen_test
async def test_it_is_bounded(http_client, base_url, store):
    *_, last = post_incidents(store, INCIDENTS_LISTED + 1)
    for n in range(UPDATES_LISTED):
        store.post_update(last, State.MONITORING, f"More {n}")
    incidents = await fetch_incidents(http_client, base_url)
    assert len(incidents) == INCIDENTS_LISTED
    assert incidents[0]["update_count"] == UPDATES_LISTED + 1
    assert len(incidents[0]["updates"]) == UPDATES_LISTED


@pytest.mark.gen_test
async def test_what_has_not_changed_is_not_sent_again(http_client, base_url, store):
    post_incidents(store, 1)
    first = await http_client.fetch(base_url + "/api/incidents")
    headers = {"If-None-Match": first.headers["Etag"]}
    again = await http_client.fetch(base_url + "/api/incidents", headers=headers, raise_error=False)
    assert again.code == 304
    post_incidents(store, 1)
    assert (await http_client.fetch(base_url + "/api/incidents", headers=headers)).code == 200


@pytest.mark.gen_test
async def test_head_is_answered_without_a_body(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/incidents", method="HEAD")
    assert response.code == 200
    assert response.body == b""
