import logging

import pytest

import waterspout
from app.store.history import read_version
from app.store.incidents import add_incident
from app.store.tables import State
from wsgi_app.announcements import announce


@pytest.fixture(autouse=True)
def _in_the_app(flask_app):
    with flask_app.app_context():
        yield


def test_it_tells_which_update_of_which_incident(store, published):
    update = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
    announce(update)
    message = {"incident": update.incident_id, "update": update.id, "version": store.read(read_version)}
    assert published == [("incidents", message, update.id)]


def test_another_change_has_the_newest_update(store, published):
    update = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
    announce()
    assert published[0][1] == {"update": update.id, "version": store.read(read_version)}


def test_outside_a_server_there_is_nobody_to_tell(caplog):
    caplog.set_level(logging.DEBUG, "wsgi_app")
    announce()
    assert "is not announced" in caplog.text


def test_other_errors_are_not_hidden(monkeypatch):
    def publish(topic, message):
        raise ValueError("no JSON")

    monkeypatch.setattr(waterspout, "publish", publish, raising=False)
    with pytest.raises(ValueError, match="no JSON"):
        announce()
