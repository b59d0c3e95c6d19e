from datetime import datetime
from xml.etree import ElementTree

import pytest

from app.store.incidents import add_update
from app.store.tables import State
from tests.app.databases import post_incidents

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture
def fetch(http_client, base_url):
    async def fetch(**headers):
        response = await http_client.fetch(base_url + "/feed.atom", headers=headers)
        assert response.headers["Content-Type"] == "application/atom+xml; charset=UTF-8"
        return ElementTree.fromstring(response.body)

    return fetch


def text(element, name):
    return element.findtext(ATOM + name)


@pytest.mark.gen_test
async def test_a_feed_may_be_empty(fetch):
    feed = await fetch()
    assert feed.tag == ATOM + "feed"
    assert text(feed, "title") == "Waterspout Status"
    assert datetime.fromisoformat(text(feed, "updated")).year == 1970


@pytest.mark.gen_test
async def test_what_changed_last_comes_first(fetch, store, base_url):
    first, _ = post_incidents(store, 2)
    update = store.write(add_update, first, State.RESOLVED, "Done <b>&</b> dusted.\x0b")
    feed = await fetch()
    assert text(feed, "updated") == update.posted_at.isoformat(timespec="seconds")
    entries = feed.findall(ATOM + "entry")
    assert [text(entry, "title") for entry in entries] == ["Incident 0", "Incident 1"]
    assert text(entries[0], "id") == f"{base_url}/incidents/{first}"
    content = text(entries[0], "content")
    assert content.startswith("Resolved, ")
    assert content.index("Done <b>&</b> dusted.") < content.index("Text 0")


@pytest.mark.gen_test
async def test_links_name_the_board_as_the_reader_does(fetch, store):
    post_incidents(store, 1)
    feed = await fetch(Host="status.example.org")
    assert text(feed.find(ATOM + "entry"), "id") == "http://status.example.org/incidents/1"
    assert text(feed, "id") == "http://status.example.org/"


@pytest.mark.gen_test
async def test_links_name_the_board_as_its_operator_does(fetch, app):
    app.settings["board_url"] = "https://status.example.org"
    assert text(await fetch(Host="evil.example"), "id") == "https://status.example.org/"
