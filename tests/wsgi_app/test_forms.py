import pytest

from app.store import TEXT_LENGTH, TITLE_LENGTH, State
from wsgi_app.forms import IncidentDraft, InvalidForm, UpdateDraft, parse_incident, parse_update

INCIDENT = {"title": "Slow", "state": "investigating", "text": "We look."}
UPDATE = {"incident": "7", "state": "resolved", "text": "Done."}


def refuse(parse, form) -> dict[str, str]:
    with pytest.raises(InvalidForm) as refused:
        parse(form)
    assert all(name in str(refused.value) for name in refused.value.errors)
    return refused.value.errors


def test_an_incident():
    assert parse_incident(INCIDENT) == IncidentDraft("Slow", State.INVESTIGATING, "We look.")


def test_an_update():
    assert parse_update(UPDATE) == UpdateDraft(7, State.RESOLVED, "Done.")


def test_everything_that_is_wrong_is_said_at_once():
    assert list(refuse(parse_incident, {})) == ["title", "state", "text"]
    assert list(refuse(parse_update, {})) == ["incident", "state", "text"]


def test_a_title_is_one_line():
    assert parse_incident({**INCIDENT, "title": "  Slow\r\n  downloads\t"}).title == "Slow downloads"


def test_a_text_keeps_its_lines():
    assert parse_update({**UPDATE, "text": "\r\n One.\r\n\r\nTwo.\rThree. \n"}).text == "One.\n\nTwo.\nThree."


@pytest.mark.parametrize(("name", "limit"), [("title", TITLE_LENGTH), ("text", TEXT_LENGTH)])
def test_lengths_are_limited(name, limit):
    assert getattr(parse_incident({**INCIDENT, name: "🌪" * limit}), name) == "🌪" * limit
    assert str(limit) in refuse(parse_incident, {**INCIDENT, name: "x" * (limit + 1)})[name]


def test_line_breaks_count_once():
    """A browser counts one character for a line break, and sends two."""
    assert len(parse_update({**UPDATE, "text": "x\r\n" * (TEXT_LENGTH // 2 - 1) + "xx"}).text) == TEXT_LENGTH


@pytest.mark.parametrize("name", ["title", "text"])
@pytest.mark.parametrize("blank", ["", "   ", "\r\n", "\t"])
def test_blank_fields_are_refused(name, blank):
    assert list(refuse(parse_incident, {**INCIDENT, name: blank})) == [name]


@pytest.mark.parametrize("name", ["title", "text"])
@pytest.mark.parametrize("character", ["\0", "\a", "\x1b", "\x7f", "\x9b", "\ud800"])
def test_control_characters_are_refused(name, character):
    assert "control" in refuse(parse_incident, {**INCIDENT, name: f"a{character}b"})[name]


@pytest.mark.parametrize("state", ["", "Resolved", "closed", "resolved "])
def test_other_states_are_refused(state):
    assert list(refuse(parse_update, {**UPDATE, "state": state})) == ["state"]


@pytest.mark.parametrize("incident", ["", "x", "-1", "+1", "1.0", "٣", "1 ", "9" * 11, "9" * 5000])
def test_what_is_no_id_is_refused(incident):
    assert list(refuse(parse_update, {**UPDATE, "incident": incident})) == ["incident"]
