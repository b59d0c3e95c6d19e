import pytest

from app.store.audit import read_audit
from app.store.components import add_component, read_archived, read_components


@pytest.fixture
def ids(store):
    return [store.write(add_component, name).id for name in ("Web", "Mail", "API")]


def names(store) -> list[str]:
    return [component.name for component in store.read(read_components)]


def test_they_are_added_and_told_of(operator, store, published):
    response = operator.post("/admin/components/", data={"name": "  File   storage "})
    assert response.headers["Location"] == "/admin/components/"
    assert names(store) == ["File storage"]
    assert store.read(read_audit)[0].who == "anna"
    assert published[0][1].keys() == {"update", "version"}


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("", "Give it a name."),
        (" ", "Give it a name."),
        ("x" * 61, "Shorten"),
        ("a\x00", "control"),
        ("Mail", "already"),
    ],
)
def test_a_name_that_will_not_do_is_refused_in_its_place(operator, store, ids, published, name, complaint):
    for path, field in (("/admin/components/", "new-name"), (f"/admin/components/{ids[0]}/name", "name-1")):
        response = operator.post(path, data={"name": name})
        assert response.status_code == 400
        assert complaint in response.text
        assert f'id="{field}-problem"' in response.text
        assert response.text.count('class="problem"') == 1
    assert names(store) == ["Web", "Mail", "API"]
    assert published == []


def test_they_are_renamed(operator, store, ids):
    operator.post(f"/admin/components/{ids[0]}/name", data={"name": "<b>Pages</b>"})
    assert names(store)[0] == "<b>Pages</b>"
    assert "<b>Pages" not in operator.get("/admin/components/").text


def test_they_are_put_in_order_and_away(operator, store, ids):
    for what, expected in [
        ("up", ["Web", "API", "Mail"]),
        ("up", ["API", "Web", "Mail"]),
        ("down", ["Web", "API", "Mail"]),
        ("archive", ["Web", "Mail"]),
        ("restore", ["Web", "API", "Mail"]),
    ]:
        assert operator.post(f"/admin/components/{ids[2]}", data={"do": what}).status_code == 303
        assert names(store) == expected
    assert store.read(read_archived) == []


@pytest.mark.parametrize("what", ["", "delete", "UP"])
def test_nothing_else_is_done(operator, store, ids, what):
    assert operator.post(f"/admin/components/{ids[2]}", data={"do": what}).status_code == 400
    assert names(store) == ["Web", "Mail", "API"]


@pytest.mark.parametrize("path", ["/admin/components/77", "/admin/components/77/name"])
def test_there_are_no_others(operator, path):
    assert operator.post(path, data={"do": "up", "name": "x"}).status_code == 404
