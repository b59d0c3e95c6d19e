"""The same public facts, asked of the page (Flask) and of the native routes."""

import json
import re
import urllib.request
from xml.etree import ElementTree

import pytest

from app.settings import parse_database_url
from app.store.components import add_component
from app.store.incidents import add_incident
from app.store.tables import Impact, State
from tests.app.serving import FORMS, serve_board
from waterspout.service.sql import Store

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module", params=FORMS)
def fetch(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board")
    with serve_board(folder, *FORMS[request.param]) as address:
        fill(Store(parse_database_url(f"sqlite:///{folder / 'board.sqlite3'}")))
        yield lambda path: urllib.request.urlopen(address + path, timeout=10).read().decode()


def fill(store):
    """Besides the examples: a component in trouble."""
    harbour = store.write(add_component, "Harbour")
    text = "Wind of force 12."
    store.write(
        add_incident, "Storm", State.IDENTIFIED, text, impact=Impact.CRITICAL, components=[harbour.id]
    )
    store.close()


@pytest.fixture
def incidents(fetch):
    return json.loads(fetch("/api/incidents"))


def test_both_list_the_same_incidents_in_the_same_order(fetch, incidents):
    listed = re.findall(r'data-incident="(\d+)" data-state="(\w+)"', fetch("/"))
    assert listed == [(str(incident["id"]), incident["state"]) for incident in incidents]


def test_both_say_the_same_of_one_incident(fetch, incidents):
    for incident in incidents:
        page = fetch(incident["url"])
        whole = json.loads(fetch(f"/api{incident['url']}"))
        assert re.findall(r'data-update="(\d+)"', page) == [str(update["id"]) for update in whole["updates"]]
        assert f"<h1>{whole['title']}</h1>" in page
        assert all(update["text"] in page for update in whole["updates"])


def test_the_feed_has_the_same_incidents(fetch, incidents):
    feed = ElementTree.fromstring(fetch("/feed.atom"))
    titles = {entry.findtext(ATOM + "title") for entry in feed.findall(ATOM + "entry")}
    assert titles == {incident["title"] for incident in incidents}


def test_the_badge_says_what_the_page_does(fetch):
    assert 'aria-label="status: outage"' in fetch("/badge.svg")
    page = fetch("/")
    assert '<p class="state">Major outage</p>' in page
    assert "Affected: <bdi>Harbour" in page or ", <bdi>Harbour" in page


def test_a_poll_begins_where_the_page_ends(fetch):
    cursor = re.search(r'data-cursor="([^"]+)"', fetch("/")).group(1)
    reply = json.loads(fetch(f"/api/poll?since={cursor}&wait=0"))
    assert reply["events"] == []
    assert reply["cursor"] == cursor
