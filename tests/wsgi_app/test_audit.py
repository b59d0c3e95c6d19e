import pytest

from app.store.audit import LINES_LISTED, Actor, note


@pytest.fixture
def lines(store):
    for n in range(LINES_LISTED + 5):
        store.write(note, Actor("<anna>", f"192.0.2.{n}"), "did", f"<thing {n:02}>")


def test_who_did_what_from_where_the_latest_first(operator, lines):
    page = operator.get("/admin/audit/").text
    assert "&lt;anna&gt;" in page
    assert page.index(f"thing {LINES_LISTED + 4}") < page.index("thing 10")
    assert "192.0.2.10" in page
    assert "thing 04" not in page


def test_older_ones_are_on_the_next_page(operator, lines):
    page = operator.get("/admin/audit/").text
    older = operator.get(page.split('rel="next" href="')[1].split('"')[0]).text
    assert "thing 04" in older
    assert 'rel="next"' not in older
    assert "Newest" in older


@pytest.mark.parametrize("before", ["x", "-1", "0", "9" * 30, "", "1"])
def test_any_page_can_be_asked_for(operator, lines, before):
    assert operator.get(f"/admin/audit/?before={before}").status_code == 200
