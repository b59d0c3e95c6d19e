from datetime import UTC, datetime, timedelta

import pytest

from app.store.components import add_component
from app.store.maintenance import add_maintenance, read_maintenance
from app.store.rows import find
from app.store.tables import Maintenance, Phase


def minute(hours: float) -> str:
    """The moment `hours` from now, as the browser's field sends it."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def form():
    return {"title": "Upgrade", "text": "Short breaks.", "starts_at": minute(1), "ends_at": minute(2)}


def test_it_is_announced_and_told_of(operator, client, store, published, form):
    web = store.write(add_component, "Web").id
    response = operator.post("/admin/maintenance/", data={**form, "components": [str(web)]})
    assert response.headers["Location"] == "/admin/maintenance/"
    (planned,) = store.read(read_maintenance)
    assert (planned.title, planned.text, planned.phase) == ("Upgrade", "Short breaks.", Phase.SCHEDULED)
    assert planned.starts_at.strftime("%Y-%m-%dT%H:%M") == form["starts_at"]
    assert planned.starts_at.tzinfo is UTC
    assert [component.name for component in planned.components] == ["Web"]
    assert len(published) == 1
    assert "Upgrade" in operator.get("/admin/maintenance/").text
    assert "Upgrade" in client.get("/").text


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"text": "x" * 2001}, "text"),
        ({"starts_at": ""}, "starts_at"),
        ({"starts_at": "tomorrow"}, "starts_at"),
        ({"starts_at": "9" * 5000}, "starts_at"),
        ({"starts_at": "0000-00-00T00:00"}, "starts_at"),
        ({"ends_at": "2020-01-01T00:00"}, "ends_at"),
        ({"ends_at": minute(24 * 60)}, "ends_at"),
        ({"components": ["7"]}, "components"),
    ],
)
def test_what_will_not_do_is_refused_in_its_place(operator, store, published, form, change, field):
    store.write(add_component, "Web")
    response = operator.post("/admin/maintenance/", data={**form, **change})
    assert response.status_code == 400
    assert f'id="new-{field}-problem"' in response.text
    assert store.read(read_maintenance) == []
    assert published == []


def test_it_is_called_off_or_ended(operator, store):
    now = datetime.now(UTC)
    store.write(add_maintenance, "Later", "", now + timedelta(hours=1), now + timedelta(hours=2))
    store.write(add_maintenance, "Now", "", now - timedelta(hours=1), now + timedelta(hours=2))
    page = operator.get("/admin/maintenance/").text
    assert "Call off" in page
    assert "End now" in page
    for number in (1, 2):
        assert operator.post(f"/admin/maintenance/{number}/end").status_code == 303
    phases = [store.read(find, Maintenance, number).phase for number in (1, 2)]
    assert phases == [Phase.CANCELLED, Phase.DONE]
    assert operator.post("/admin/maintenance/1/end").status_code == 409
    assert operator.post("/admin/maintenance/77/end").status_code == 404
