import re
from xml.etree import ElementTree

import pytest

from app.store.components import add_component
from app.store.history import Condition
from app.store.incidents import add_incident
from app.store.tables import Impact, State
from handlers.badge import BADGES


@pytest.fixture
def fetch(http_client, base_url):
    async def fetch(query=""):
        response = await http_client.fetch(f"{base_url}/badge.svg{query}", raise_error=False)
        if response.code == 200:
            assert response.headers["Content-Type"] == "image/svg+xml; charset=UTF-8"
            return ElementTree.fromstring(response.body).get("aria-label")
        return response.code

    return fetch


@pytest.fixture
def harbour(store):
    return store.write(add_component, "Harbour & <pier>")


@pytest.mark.gen_test
async def test_all_is_well(fetch):
    assert await fetch() == "status: operational"


@pytest.mark.gen_test
async def test_the_whole_is_as_its_worst_component(fetch, store, harbour):
    for impact in (Impact.MAJOR, Impact.MINOR):
        store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.", impact=impact, components=[harbour.id])
    assert await fetch() == "status: partial outage"


@pytest.mark.gen_test
async def test_an_incident_that_concerns_no_component_counts(fetch, store):
    store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.")
    assert await fetch() == "status: degraded"


@pytest.mark.gen_test
async def test_a_component_by_name_or_number(fetch, store, harbour):
    store.write(add_component, "Sea")
    store.write(
        add_incident, "Storm", State.IDENTIFIED, "Wind.", impact=Impact.CRITICAL, components=[harbour.id]
    )
    assert await fetch("?component=Harbour+%26+%3Cpier%3E") == "Harbour & <pier>: outage"
    assert await fetch(f"?component={harbour.id}") == "Harbour & <pier>: outage"
    assert await fetch("?component=Sea") == "Sea: operational"


@pytest.mark.gen_test
async def test_an_unknown_component_is_not_found(fetch):
    assert await fetch("?component=Nowhere") == 404


def test_every_condition_has_a_badge():
    assert set(BADGES) == set(Condition)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for _, colour in BADGES.values())
