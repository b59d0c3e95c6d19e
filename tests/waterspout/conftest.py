"""Fixtures for the tests of the engine's modules."""

import logging

import pytest


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
