"""Telling the native side, and with it every open page, of what was posted."""

import logging

import waterspout
from app.store import TOPIC, Update

logger = logging.getLogger(__name__)


def announce(update: Update) -> None:
    """Tell of an update; after its commit, since whoever hears of it reads the store at once."""
    try:
        waterspout.publish(TOPIC, {"incident": update.incident_id, "update": update.id})
    except waterspout.NotServing:
        # Under `flask run` or a test client there is nobody to tell; a page finds it when it comes back.
        logger.debug("update %d is not announced: no server is running", update.id)
