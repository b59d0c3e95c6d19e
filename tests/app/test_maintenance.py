from datetime import UTC, datetime, timedelta

import pytest

from app.store import Refused, Unknown
from app.store.components import add_component
from app.store.maintenance import (
    LONGEST_MAINTENANCE,
    add_maintenance,
    end_maintenance,
    read_maintenance,
    read_past_maintenance,
)
from app.store.rows import LARGEST_ID, find
from app.store.tables import Maintenance, Phase

HOUR = timedelta(hours=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def titles(found) -> list[str]:
    return [maintenance.title for maintenance in found]


def test_what_runs_and_what_is_to_come(store, now):
    web = store.write(add_component, "Web").id
    store.write(add_maintenance, "Later", "Text", now + 5 * HOUR, now + 6 * HOUR, components=[web])
    store.write(add_maintenance, "Now", "Text", now - HOUR, now + HOUR)
    found = store.read(read_maintenance)
    assert titles(found) == ["Now", "Later"]
    assert [maintenance.phase for maintenance in found] == [Phase.RUNNING, Phase.SCHEDULED]
    assert [component.name for component in found[1].components] == ["Web"]
    assert titles(store.read(read_past_maintenance)) == []
    assert titles(store.read(read_past_maintenance, now + 2 * HOUR)) == ["Now"]


def test_the_same_is_announced_once(store, now):
    """A double click. For other components it is a new one; what was called off may be announced again."""
    web = store.write(add_component, "Web").id
    same = ("Later", "Text", now + 5 * HOUR, now + 6 * HOUR)
    first, second = (store.write(add_maintenance, *same, components=[web]).id for _ in range(2))
    assert first == second
    assert store.write(add_maintenance, *same).id != first
    store.write(end_maintenance, first)
    assert store.write(add_maintenance, *same, components=[web]).id != first


def test_what_has_not_begun_is_called_off(store, now):
    store.write(add_maintenance, "Later", "Text", now + 5 * HOUR, now + 6 * HOUR)
    assert store.write(end_maintenance, 1).phase is Phase.CANCELLED
    assert store.read(read_maintenance) == []
    assert titles(store.read(read_past_maintenance)) == ["Later"]


def test_what_has_begun_ends_early(store, now):
    store.write(add_maintenance, "Now", "Text", now - HOUR, now + HOUR)
    assert store.write(end_maintenance, 1).phase is Phase.DONE
    with pytest.raises(Refused, match="over already"):
        store.write(end_maintenance, 1)


@pytest.mark.parametrize(
    ("start", "end"),
    [(HOUR, HOUR), (2 * HOUR, HOUR), (HOUR, HOUR * 1.5 + LONGEST_MAINTENANCE), (-2 * HOUR, -HOUR)],
)
def test_impossible_times_are_refused(store, now, start, end):
    with pytest.raises(Refused, match="end"):
        store.write(add_maintenance, "Never", "Text", now + start, now + end)
    assert store.read(read_maintenance) == []


def test_it_concerns_components_that_there_are(store, now):
    with pytest.raises(Refused, match="no longer there"):
        store.write(add_maintenance, "Later", "Text", now, now + HOUR, components=[7])


@pytest.mark.parametrize("number", [0, 1, -1, LARGEST_ID + 1])
def test_there_is_no_other(store, number):
    with pytest.raises(Unknown):
        store.read(find, Maintenance, number)
