import pytest

from app.store import Refused, Unknown
from app.store.audit import Actor, read_audit
from app.store.components import (
    COMPONENTS_AT_MOST,
    add_component,
    archive_component,
    move_component,
    read_archived,
    read_chosen,
    read_components,
    rename_component,
)
from app.store.incidents import add_incident, read_incident
from app.store.rows import LARGEST_ID

ANNA = Actor("anna", "192.0.2.1")


@pytest.fixture
def ids(store):
    return [store.write(add_component, name, ANNA).id for name in ("Web", "Mail", "API")]


def names(store) -> list[str]:
    return [component.name for component in store.read(read_components)]


def test_they_stand_in_the_order_in_which_they_came(store, ids):
    assert names(store) == ["Web", "Mail", "API"]


def test_they_can_be_moved(store, ids):
    store.write(move_component, ids[2], up=True, by=ANNA)
    assert names(store) == ["Web", "API", "Mail"]
    store.write(move_component, ids[0], up=True, by=ANNA)
    store.write(move_component, ids[1], up=False, by=ANNA)
    assert names(store) == ["Web", "API", "Mail"]


def test_names_are_unique(store, ids):
    with pytest.raises(Refused):
        store.write(add_component, "Mail", ANNA)
    with pytest.raises(Refused):
        store.write(rename_component, ids[0], "Mail", ANNA)
    store.write(rename_component, ids[0], "Web", ANNA)
    store.write(rename_component, ids[0], "Pages", ANNA)
    assert names(store) == ["Pages", "Mail", "API"]


def test_an_archived_one_is_kept_but_no_longer_chosen(store, ids):
    store.write(add_incident, "Slow", "identified", "We look.", components=[ids[1]], by=ANNA)
    store.write(archive_component, ids[1], archived=True, by=ANNA)
    assert names(store) == ["Web", "API"]
    assert [component.name for component in store.read(read_archived)] == ["Mail"]
    assert [component.name for component in store.read(read_incident, 1).components] == ["Mail"]
    with pytest.raises(Refused):
        store.read(read_chosen, [ids[0], ids[1]])
    with pytest.raises(Unknown):
        store.write(move_component, ids[1], up=True, by=ANNA)
    store.write(archive_component, ids[1], archived=False, by=ANNA)
    assert names(store) == ["Web", "Mail", "API"]


@pytest.mark.parametrize("number", [0, -1, 77, LARGEST_ID + 1, 10**30])
def test_there_are_no_others(store, ids, number):
    for change in (rename_component, move_component, archive_component):
        with pytest.raises(Unknown):
            store.write(change, number, "x", by=ANNA)


def test_there_are_only_so_many(store):
    for n in range(COMPONENTS_AT_MOST):
        store.write(add_component, f"Component {n}", ANNA)
    with pytest.raises(Refused, match=str(COMPONENTS_AT_MOST)):
        store.write(add_component, "One more", ANNA)


def test_each_change_is_in_the_audit_and_a_refused_one_is_not(store, ids):
    store.write(rename_component, ids[0], "Pages", ANNA)
    with pytest.raises(Refused):
        store.write(add_component, "Mail", ANNA)
    newest = store.read(read_audit)[0]
    assert (newest.who, newest.address) == ("anna", "192.0.2.1")
    assert (newest.action, newest.subject) == ("renamed component", "Web → Pages")
