import logging

import pytest

import waterspout
from app.store import State, Update
from wsgi_app.announcements import announce

UPDATE = Update(id=31, incident_id=7, state=State.RESOLVED)


def test_it_tells_which_update_of_which_incident(monkeypatch):
    published = []
    monkeypatch.setattr(
        waterspout, "publish", lambda topic, message: published.append((topic, message)), raising=False
    )
    announce(UPDATE)
    assert published == [("incidents", {"incident": 7, "update": 31})]


def test_outside_a_server_there_is_nobody_to_tell(caplog):
    caplog.set_level(logging.DEBUG, "wsgi_app")
    announce(UPDATE)
    assert "update 31 is not announced" in caplog.text


def test_other_errors_are_not_hidden(monkeypatch):
    def publish(topic, message):
        raise ValueError("no JSON")

    monkeypatch.setattr(waterspout, "publish", publish, raising=False)
    with pytest.raises(ValueError, match="no JSON"):
        announce(UPDATE)
