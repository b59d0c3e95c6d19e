"""What the app raises is told, whatever its own logging does to it."""

import logging

import pytest

from waterspout.logs.raised import log_raised

logger = logging.getLogger("test-raised")
ERROR = ValueError("of the view")


def test_it_is_logged_with_its_traceback(caplog):
    log_raised(logger, ERROR, "request %s raised", "id-1")
    (record,) = caplog.records
    assert (record.levelname, record.getMessage(), record.exc_info[1]) == (
        "ERROR",
        "request id-1 raised",
        ERROR,
    )


@pytest.mark.parametrize("fault", [RuntimeError("of the filter"), SystemExit(3)])
def test_where_the_logging_raises_both_are_on_stderr(capsys, fault):
    def refuse(record):
        raise fault

    logger.addFilter(refuse)
    try:
        log_raised(logger, ERROR, "request %s raised", "id-1")
    finally:
        logger.removeFilter(refuse)
    said = capsys.readouterr().err
    assert "can't be logged: request id-1 raised" in said
    assert "ValueError: of the view" in said
    assert type(fault).__name__ in said
    assert said.index("of the view") < said.index("because the logging has raised")
