import json
from datetime import datetime

import pytest

from app.store.components import add_component
from app.store.incidents import INCIDENTS_LISTED, add_incident, add_update
from app.store.tables import UPDATES_LISTED, Impact, State
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
    first = store.write(add_incident, "Slow <downloads>", State.INVESTIGATING, "Wir prüfen.\n🌪")
    second = store.write(add_update, first.incident_id, State.IDENTIFIED, "Found.")
    (incident,) = await fetch_incidents(http_client, base_url)
    updates = incident.pop("updates")
    opened_at = incident.pop("opened_at")
    assert incident == {
        "id": first.incident_id,
        "title": "Slow <downloads>",
        "state": "identified",
        "impact": "minor",
        "components": [],
        "resolved_at": None,
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
    store.write(add_update, second, State.RESOLVED, "Done.")
    incidents = await fetch_incidents(http_client, base_url)
    assert [incident["id"] for incident in incidents] == [first, second]


@pytest.mark.gen_test
async def test_it_is_bounded(http_client, base_url, store):
    *_, last = post_incidents(store, INCIDENTS_LISTED + 1)
    for n in range(UPDATES_LISTED):
        store.write(add_update, last, State.MONITORING, f"More {n}")
    incidents = await fetch_incidents(http_client, base_url)
    assert len(incidents) == INCIDENTS_LISTED
    assert incidents[0]["update_count"] == UPDATES_LISTED + 1
    assert len(incidents[0]["updates"]) == UPDATES_LISTED


@pytest.mark.gen_test
async def test_one_incident_has_all_its_updates(http_client, base_url, store):
    (incident_id,) = post_incidents(store, 1)
    for n in range(UPDATES_LISTED):
        store.write(add_update, incident_id, State.MONITORING, f"More {n}")
    response = await http_client.fetch(f"{base_url}/api/incidents/{incident_id}")
    incident = json.loads(response.body)
    assert (incident["id"], len(incident["updates"])) == (incident_id, UPDATES_LISTED + 1)


@pytest.mark.gen_test
@pytest.mark.parametrize("number", ["0", "2", "2147483648", "9" * 19, "9" * 20, "-1", "x"])
async def test_there_is_no_other_incident(http_client, base_url, store, number):
    post_incidents(store, 1)
    response = await http_client.fetch(f"{base_url}/api/incidents/{number}", raise_error=False)
    assert response.code == 404


@pytest.mark.gen_test
async def test_what_is_not_there_is_told_in_json(http_client, base_url):
    response = await http_client.fetch(base_url + "/api/incidents/7", raise_error=False)
    assert (response.code, json.loads(response.body)) == (404, {"error": "Not Found"})


@pytest.mark.gen_test
async def test_what_is_bad_and_what_it_concerns(http_client, base_url, store):
    component = store.write(add_component, "Harbour")
    store.write(
        add_incident, "Storm", State.INVESTIGATING, "Wind.", impact=Impact.MAJOR, components=[component.id]
    )
    (incident,) = await fetch_incidents(http_client, base_url)
    assert incident["impact"] == "major"
    assert incident["components"] == [{"id": component.id, "name": "Harbour"}]
