import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import template_rendered

from app.store.components import add_component, archive_component, rename_component
from app.store.history import read_statuses, read_version
from app.store.incidents import add_incident, add_update
from app.store.maintenance import add_maintenance
from app.store.tables import UPDATES_LISTED, Impact, State
from tests.app.databases import post_incidents
from wsgi_app import create_app

PAGES = [f"/admin/{part}" for part in ("", "components/", "maintenance/", "operators/", "audit/")]


def order(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-incident="(\d+)"', page)]


def test_an_empty_board_is_calm(client):
    response = client.get("/")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert "All systems operational" in response.text
    assert "No incidents have been reported." in response.text
    assert 'data-cursor="0.' in response.text


def test_open_incidents_are_above_past_ones(client, store):
    first, second, third = post_incidents(store, 3)
    store.write(add_update, third, State.RESOLVED, "Done.")
    page = client.get("/").text
    assert order(page) == [second, first, third]
    assert page.index("Open incidents") < page.index("Incident 0") < page.index("Past incidents")
    assert page.index("Past incidents") < page.index("Incident 2")
    assert "2 open incidents" in page
    assert f'data-cursor="{store.read(read_version)}"' in page


def test_one_open_incident_is_singular(client, store):
    post_incidents(store, 1)
    assert re.search(r"1 open incident\s*<", client.get("/").text)


def test_updates_are_newest_first_with_their_moment(client, store):
    (incident_id,) = post_incidents(store, 1)
    update = store.write(add_update, incident_id, State.MONITORING, "Better.\nNearly.")
    page = client.get("/").text
    assert page.index("Better.\nNearly.") < page.index("Text 0")
    assert f'<time datetime="{update.posted_at.isoformat(timespec="seconds")}">' in page
    assert update.posted_at.strftime("%H:%M UTC") in page


def test_a_long_story_is_cut_and_leads_to_the_whole(client, store):
    (incident_id,) = post_incidents(store, 1)
    assert "data-cut" not in client.get("/").text
    for n in range(UPDATES_LISTED):
        store.write(add_update, incident_id, State.MONITORING, f"More {n}")
    page = client.get("/").text
    assert "Text 0" not in page
    assert re.search(rf'data-cut><a href="/incidents/{incident_id}">All {UPDATES_LISTED + 1} updates\s', page)
    assert "Text 0" in client.get(f"/incidents/{incident_id}").text


def test_what_people_write_is_escaped(operator, store):
    incident_id = store.write(
        add_incident, '<script>alert("x")</script>', State.INVESTIGATING, "</p><img src=x onerror=y>"
    ).incident_id
    for path in ("/", f"/incidents/{incident_id}", "/admin/"):
        page = operator.get(path).text
        assert "<script>" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page


def test_the_name_of_the_board_is_on_every_page(operator, store):
    post_incidents(store, 1)
    for path in ("/", "/incidents/1", *PAGES, "/nowhere"):
        assert "Harbour &lt;Status&gt;</title>" in operator.get(path).text


def test_every_page_has_one_heading_of_the_first_rank(operator, store):
    post_incidents(store, 2)
    for path in ("/", "/incidents/1", *PAGES, "/nowhere"):
        assert operator.get(path).text.count("<h1") == 1


def test_an_incident_has_a_page(client, store):
    first, second = post_incidents(store, 2)
    page = client.get(f"/incidents/{first}").text
    assert order(page) == [first]
    assert f'data-only="{first}"' in page
    assert f'data-cursor="{second}.' in page


@pytest.mark.parametrize("number", ["0", "2", "2147483648", "9" * 25, "9" * 5000, "-1", "x", "1.5", "٣"])
def test_there_is_no_other_incident(client, store, number):
    post_incidents(store, 1)
    assert client.get(f"/incidents/{number}").status_code == 404


@pytest.fixture
def harbour(store):
    return store.write(add_component, "Harbour <pier>")


@pytest.mark.parametrize(
    ("impact", "words"),
    [
        (Impact.MINOR, "Some systems are degraded"),
        (Impact.MAJOR, "Partial outage"),
        (Impact.CRITICAL, "Major outage"),
    ],
)
def test_the_summary_is_as_the_worst_component(client, store, harbour, impact, words):
    store.write(add_component, "Sea")
    store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.", impact=impact, components=[harbour.id])
    page = client.get("/").text
    assert f'<p class="state">{words}</p>' in page
    assert "Affected: <bdi>Harbour &lt;pier&gt;</bdi> · 1 open incident" in page


def test_an_incident_that_concerns_no_component_is_in_the_summary(client, store):
    store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.")
    assert "Something is not right" in client.get("/").text


def test_a_component_has_ninety_days_of_history(client, store, harbour):
    now = datetime.now(UTC)
    opened_at = now - timedelta(days=3)
    update = store.write(
        add_incident,
        "Storm",
        State.IDENTIFIED,
        "Wind.",
        opened_at,
        impact=Impact.MAJOR,
        components=[harbour.id],
    )
    store.write(add_update, update.incident_id, State.RESOLVED, "Calm.", opened_at + timedelta(minutes=1))
    page = client.get("/").text
    days = re.findall(r'<i( data-day="[^"]+")? data-condition="(\w+)" title="([^"]+)"></i>', page)
    assert len(days) == 90
    assert [condition for _, condition, _ in days].count("major") in (1, 2)  # two, around midnight
    assert days[-1][0] == f' data-day="{now.date()}"'
    assert days[-4][2].endswith(f"{opened_at:%b %Y}: Partial outage")
    assert 'aria-label="1 of the last 90 days' in page or 'aria-label="2 of the last 90 days' in page


def test_a_board_without_components_has_no_such_section(client):
    assert "components-heading" not in client.get("/").text


def test_maintenance_is_announced(client, store, harbour):
    starts_at = datetime.now(UTC) + timedelta(days=1)
    store.write(
        add_maintenance,
        "Dredging <soon>",
        "Mud.",
        starts_at,
        starts_at + timedelta(hours=1),
        components=[harbour.id],
    )
    page = client.get("/").text
    assert "Dredging &lt;soon&gt;" in page
    assert "Scheduled" in page
    assert "All systems operational" in page


def test_maintenance_that_runs_is_in_the_summary(client, store, harbour):
    now = datetime.now(UTC)
    store.write(
        add_maintenance,
        "Dredging",
        "Mud.",
        now - timedelta(hours=1),
        now + timedelta(hours=1),
        components=[harbour.id],
    )
    page = client.get("/").text
    assert "Maintenance under way" in page
    assert "Under way</span>" in page


def test_an_incident_says_what_it_concerned_and_how_long_it_took(client, store, harbour):
    opened_at = datetime.now(UTC) - timedelta(days=1)
    update = store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.", opened_at, components=[harbour.id])
    ended_at = opened_at + timedelta(hours=2, minutes=5)
    store.write(add_update, update.incident_id, State.RESOLVED, "Calm.", ended_at)
    for path in ("/", f"/incidents/{update.incident_id}"):
        page = client.get(path).text
        assert "Harbour &lt;pier&gt;" in page
        assert "lasted 2 h 5 min" in page


def test_the_way_to_the_form_is_shown_to_whom_it_is_open(client, operator, store):
    post_incidents(store, 1)
    for path in ("/", "/incidents/1"):
        assert 'href="/admin/' in operator.get(path).text
        page = client.get(path).text
        assert 'href="/admin/' not in page
        assert 'href="/login"' in page


def test_pages_can_not_be_posted_to(client):
    response = client.post("/")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]


def test_a_page_that_has_not_changed_is_not_sent_again(client, store):
    first = client.get("/")
    again = client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Cookie" in first.headers["Vary"]
    store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.")
    assert client.get("/", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_a_page_is_made_once_for_each_version(client, store, flask_app):
    made = []

    def note(sender, template, **_):
        made.append(template.name)

    with template_rendered.connected_to(note, flask_app):
        for title in ("Storm", "Flood"):
            store.write(add_incident, title, State.IDENTIFIED, "Water.")
            assert all(title in client.get("/").text for _ in range(3))
    assert made == ["board.html"] * 2


def test_every_change_is_on_the_next_page(client, store):
    assert "Lighthouse" not in client.get("/").text
    component = store.write(add_component, "Lighthouse")
    assert "Lighthouse" in client.get("/").text
    store.write(rename_component, component.id, "Pier")
    assert "Lighthouse" not in client.get("/").text


def test_a_page_is_of_one_moment(client, store, harbour, monkeypatch):
    """What changes while it is read appears on the next page, as a whole."""

    def read_and_be_late(session):
        statuses = read_statuses(session)
        store.write(archive_component, harbour.id, True)
        store.write(add_incident, "Storm", State.IDENTIFIED, "Wind.")
        return statuses

    with monkeypatch.context() as patch:
        patch.setattr("wsgi_app.public.read_statuses", read_and_be_late)
        page = client.get("/").text
    assert "<h3>Harbour &lt;pier&gt;</h3>" in page
    assert "Storm" not in page
    page = client.get("/").text
    assert "<h3>Harbour &lt;pier&gt;</h3>" not in page
    assert "Storm" in page


def test_without_the_native_side_the_pages_are_whole_and_name_nothing_of_it(settings):
    """`flask run`, another WSGI server."""
    flask_app = create_app(settings)
    page = flask_app.test_client().get("/").text
    assert "Status" in page
    assert "live.js" not in page
    assert "feed.atom" not in page
    flask_app.extensions["store"].close()


def test_each_prefix_has_a_page_of_its_own(client, store):
    below = client.get("/", environ_overrides={"SCRIPT_NAME": "/status"}).text
    assert 'href="/status/' in below
    assert "/status/" not in client.get("/").text
