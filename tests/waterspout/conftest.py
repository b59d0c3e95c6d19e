"""Fixtures for the tests of the engine's modules."""

import logging

import pytest

from waterspout.exceptions import NotServing
from waterspout.hub.local import hub
from waterspout.hub.outbox import publish


@pytest.fixture(autouse=True)
def nothing_serves_afterwards():
    """A test that leaves the hub open would let the next one publish where it must not."""
    yield
    left_open = 0
    while is_serving():
        hub.close()
        left_open += 1
    assert not left_open


def is_serving():
    try:
        publish("anybody", "there?")
    except NotServing:
        return False
    return True


@pytest.fixture
def access_log(caplog):
    """`caplog`, with the access lines."""
    caplog.set_level(logging.INFO, "waterspout.access")
    return caplog


@pytest.fixture
def keep_logging():
    """Undoes afterwards what a test configures on our loggers, Tornado's and gunicorn's."""
    names = ("waterspout", "waterspout.access", "tornado", "tornado.access", "gunicorn.error")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers[:], logger.level, logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, (handlers, level, propagate, disabled) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
        logger.disabled = disabled
