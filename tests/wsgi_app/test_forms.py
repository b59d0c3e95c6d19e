from datetime import UTC, datetime

import pytest
from werkzeug.datastructures import MultiDict

from app.store.tables import TEXT_LENGTH, TITLE_LENGTH
from wsgi_app.forms import IncidentForm, JoinForm, MaintenanceForm, UpdateForm
from wsgi_app.guards import MAX_CONTENT_LENGTH

INCIDENT = {"title": "Slow", "state": "investigating", "impact": "minor", "text": "We look."}
UPDATE = {"incident": "7", "state": "resolved", "text": "Done."}


@pytest.fixture(autouse=True)
def _in_a_request(flask_app):
    with flask_app.test_request_context():
        yield


def fill(kind, fields):
    return kind(formdata=MultiDict(fields), meta={"csrf": False})


def refuse(kind, fields) -> dict[str, str]:
    form = fill(kind, fields)
    assert not form.validate()
    return {name: errors[0] for name, errors in form.errors.items()}


def accept(kind, fields):
    form = fill(kind, fields)
    assert form.validate(), form.errors
    return form


def test_everything_that_is_wrong_is_said_at_once():
    assert set(refuse(IncidentForm, {})) == {"title", "state", "text"}
    assert set(refuse(UpdateForm, {})) == {"incident", "state", "text"}


def test_a_title_is_one_line():
    assert (
        accept(IncidentForm, {**INCIDENT, "title": "  Slow\r\n  downloads\t"}).title.data == "Slow downloads"
    )


def test_a_text_keeps_its_lines():
    form = accept(UpdateForm, {**UPDATE, "text": "\r\n One.\r\n\r\nTwo.\rThree. \n"})
    assert form.text.data == "One.\n\nTwo.\nThree."


@pytest.mark.parametrize(("name", "limit"), [("title", TITLE_LENGTH), ("text", TEXT_LENGTH)])
def test_lengths_are_limited(name, limit):
    assert accept(IncidentForm, {**INCIDENT, name: "🌪" * limit})[name].data == "🌪" * limit
    assert str(limit) in refuse(IncidentForm, {**INCIDENT, name: "x" * (limit + 1)})[name]


def test_line_breaks_count_once():
    """A browser counts one character for a line break, and sends two."""
    form = accept(UpdateForm, {**UPDATE, "text": "x\r\n" * (TEXT_LENGTH // 2 - 1) + "xx"})
    assert len(form.text.data) == TEXT_LENGTH


def test_the_longest_form_fits_in():
    assert (TITLE_LENGTH + TEXT_LENGTH) * len("%F0%9F%8C%AA") < MAX_CONTENT_LENGTH


@pytest.mark.parametrize("name", ["title", "text"])
@pytest.mark.parametrize("blank", ["", "   ", "\r\n", "\t"])
def test_blank_fields_are_refused(name, blank):
    assert list(refuse(IncidentForm, {**INCIDENT, name: blank})) == [name]


@pytest.mark.parametrize("name", ["title", "text"])
@pytest.mark.parametrize("character", ["\0", "\a", "\x1b", "\x7f", "\x9b", "\ud800"])
def test_control_characters_are_refused(name, character):
    assert "control" in refuse(IncidentForm, {**INCIDENT, name: f"a{character}b"})[name]


@pytest.mark.parametrize("state", ["", "Resolved", "closed", "resolved "])
def test_other_states_are_refused(state):
    assert list(refuse(UpdateForm, {**UPDATE, "state": state})) == ["state"]


@pytest.mark.parametrize("incident", ["", "x", "-1", "+1", "1.0", "٣", "1 2", "9" * 11, "9" * 5000])
def test_what_is_no_id_is_refused(incident):
    assert list(refuse(UpdateForm, {**UPDATE, "incident": incident})) == ["incident"]


@pytest.mark.parametrize("impact", ["none", "MINOR", " "])
def test_other_impacts_are_refused(impact):
    assert list(refuse(IncidentForm, {**INCIDENT, "impact": impact})) == ["impact"]
    assert list(refuse(UpdateForm, {**UPDATE, "impact": impact})) == ["impact"]


def test_components_are_numbers():
    form = accept(IncidentForm, MultiDict([*INCIDENT.items(), ("components", "3"), ("components", "5")]))
    assert form.components.data == [3, 5]


def test_moments_are_in_utc():
    fields = {"title": "x", "text": "x", "starts_at": "2026-07-01T12:30", "ends_at": "2026-07-01T13:00"}
    assert accept(MaintenanceForm, fields).starts_at.data == datetime(2026, 7, 1, 12, 30, tzinfo=UTC)


def test_a_password_keeps_its_blanks():
    assert accept(JoinForm, {"name": "anna", "password": "  correct horse  "}).password.data[:2] == "  "
