"""Notifying the native side, and with it every open page, of changes."""

import logging

import waterspout
from app.store import TOPIC
from app.store.history import read_version
from app.store.incidents import read_cursor
from app.store.tables import Update
from wsgi_app.resources import current_store

logger = logging.getLogger(__name__)


def announce(update: Update | None = None) -> None:
    """Announce an update, or another change; after its commit: subscribers read the store at once."""
    store = current_store()
    message: dict[str, object] = {"update": store.read(read_cursor), "version": store.read(read_version)}
    if update:
        message |= {"incident": update.incident_id, "update": update.id}
    try:
        waterspout.publish(TOPIC, message)
    except waterspout.NotServing:
        # Under `flask run` or a test client there are no subscribers; a page gets it when it reconnects.
        logger.debug("%s is not announced: no server is running", message)
