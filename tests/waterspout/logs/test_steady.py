"""Our loggers outlive what an app does to logging."""

import logging
import logging.config

import pytest

from waterspout.logs.steady import steady


@pytest.fixture
def logger():
    logger = steady("test-steady")
    yield logger
    logger.filters.clear()
    logger.disabled = False


def test_it_is_the_same_logger_of_the_same_class_but_steady():
    class OfTheApp(logging.getLoggerClass()):
        pass

    before = logging.Manager(logging.root)
    before.setLoggerClass(OfTheApp)
    logging.root.manager.loggerDict["test-steady-own"] = made = before.getLogger("test-steady-own")
    assert steady("test-steady-own") is steady("test-steady-own") is made
    assert isinstance(made, OfTheApp)
    assert type(made).__name__ == "OfTheApp"


@pytest.mark.parametrize("fault", [RuntimeError("of the filter"), SystemExit(3)])
def test_where_the_logging_raises_all_of_it_is_on_stderr(logger, capsys, fault):
    def refuse(record):
        raise fault

    logger.addFilter(refuse)
    try:
        raise ValueError("of the view")
    except ValueError:
        logger.exception("request %s", "id-1")
    said = capsys.readouterr().err
    assert "can't be logged: request id-1" in said
    assert "ValueError: of the view" in said
    assert said.index("of the view") < said.index("because logging raised")
    assert said.index("because logging raised") < said.index(type(fault).__name__)


def test_a_line_whose_words_don_t_fit_raises_nothing_either(logger, capsys):
    def refuse(record):
        raise RuntimeError

    logger.addFilter(refuse)
    logger.warning("%d", "no number")
    assert "can't be logged: %d\n" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [RuntimeError("of the factory"), SystemExit(3)])
def test_where_the_record_factory_raises_the_line_is_logged_all_the_same(
    logger, capsys, caplog, monkeypatch, fault
):
    def refuse(*arguments, **options):
        raise fault

    monkeypatch.setattr(logging, "_logRecordFactory", refuse)
    logger.error("request %s", "id-1", exc_info=ValueError("of the view"))
    monkeypatch.undo()
    (record,) = caplog.records
    assert (record.levelname, record.getMessage(), record.filename) == (
        "ERROR",
        "request id-1",
        "test_steady.py",
    )
    assert str(record.exc_info[1]) == "of the view"
    said = capsys.readouterr().err
    assert said.startswith("waterspout: the log record factory raised\nTraceback")
    assert type(fault).__name__ in said


@pytest.fixture
def others():
    """Leaves all other loggers as they were before."""
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    before = [(each, each.disabled) for each in loggers]
    yield
    for each, disabled in before:
        each.disabled = disabled


@pytest.mark.usefixtures("others")
def test_dict_config_does_not_turn_it_off(logger):
    other = logging.getLogger("test-steady-other")
    logging.config.dictConfig({"version": 1, "incremental": False})
    assert other.disabled
    assert not logger.disabled


def test_by_hand_it_can_be_turned_off_and_on(logger):
    logger.disabled = True
    assert not logger.isEnabledFor(logging.CRITICAL)
    logger.disabled = False
    assert logger.isEnabledFor(logging.CRITICAL)
