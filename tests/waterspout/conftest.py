"""Fixtures for the tests of the engine's modules."""

import asyncio
import logging
import warnings
from contextlib import suppress

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_loop_to_go_back_to():
    """Else pytest-tornado makes the main thread one of its own, which nobody ever closes."""
    with warnings.catch_warnings(), suppress(RuntimeError):
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.get_event_loop().close()
    asyncio.set_event_loop(None)


@pytest.fixture
def keep_logging():
    """What a test configures of our loggers and Tornado's is undone afterwards."""
    names = ("waterspout", "waterspout.access", "tornado")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger.handlers[:], logger.level, logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, (handlers, level, propagate, disabled) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate
        logger.disabled = disabled
