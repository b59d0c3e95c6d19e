"""Where log lines go."""

import logging
import re
import subprocess
import sys

import pytest

from waterspout.logs import loggers

pytestmark = pytest.mark.usefixtures("keep_logging")


def test_our_lines_go_to_stderr_with_their_time_and_level(capsys):
    loggers.configure()
    logging.getLogger("waterspout.wsgi").info("hello %s", "there")
    line = capsys.readouterr().err
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ INFO waterspout\.wsgi hello there\n", line)


def test_a_line_is_written_once_however_often_it_is_configured(capsys):
    loggers.configure()
    loggers.configure()
    logging.getLogger("waterspout").warning("once")
    assert capsys.readouterr().err.count("once") == 1


def test_tornado_s_warnings_are_shown_and_its_chatter_is_not(capsys):
    """At INFO, Tornado quotes what a hostile client sent."""
    loggers.configure(logging.DEBUG)
    logging.getLogger("tornado.general").info("Malformed: secret")
    logging.getLogger("tornado").info("chatter")
    logging.getLogger("tornado.general").warning("careful")
    shown = capsys.readouterr().err
    assert "secret" not in shown
    assert "chatter" not in shown
    assert "careful" in shown


def test_what_an_application_says_by_tornado_s_logger_is_shown(capsys):
    """`tornado.log.app_log.info("launched")`: at INFO nobody else writes there."""
    loggers.configure()
    logging.getLogger("tornado.application").info("launched")
    assert "INFO tornado.application launched" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["waterspout", "tornado"])
def test_a_higher_level_silences_both(capsys, name):
    loggers.configure(logging.ERROR)
    logging.getLogger(name).warning("quiet")
    logging.getLogger(name).error("loud")
    shown = capsys.readouterr().err
    assert "quiet" not in shown
    assert "loud" in shown


@pytest.mark.parametrize("name", ["waterspout.access", "tornado.access"])
@pytest.mark.parametrize("shown", [True, False])
def test_the_access_log_can_be_switched_off_and_on_again(capsys, shown, name):
    loggers.configure(access_log=not shown)
    loggers.configure(access_log=shown)
    logging.getLogger(name).info("a request")
    logging.getLogger("waterspout").info("something else")
    text = capsys.readouterr().err
    assert ("a request" in text) is shown
    assert "something else" in text


def test_who_logs_as_gunicorn_does_is_heard_once(capsys):
    """The lines that Flask's users add to their app when they move to gunicorn."""
    loggers.configure()
    app_logger = logging.Logger("shop")
    gunicorn_logger = logging.getLogger("gunicorn.error")
    app_logger.parent = logging.root
    app_logger.handlers = gunicorn_logger.handlers
    app_logger.setLevel(gunicorn_logger.level)
    app_logger.info("opened")
    app_logger.debug("a detail")
    gunicorn_logger.info("written there")
    lines = [line.split(" ", 2)[2] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["INFO shop opened", "INFO gunicorn.error written there"]


def test_the_root_is_the_app_s():
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    loggers.configure()
    assert (root.handlers[:], root.level) == before
    assert not logging.getLogger("waterspout").propagate


@pytest.mark.parametrize("created", [0.0, 1.9994, 1.9999, 2.0, 1.5, 1_790_000_000.123, 1_790_000_000.9])
@pytest.mark.parametrize("datefmt", [None, "%H:%M"])
def test_the_time_is_written_as_python_writes_it(created, datefmt):
    record = logging.makeLogRecord({"created": created, "msecs": (created - int(created)) * 1000})
    ours, pythons = loggers.LineFormatter(), logging.Formatter()
    for _ in range(2):
        assert ours.formatTime(record, datefmt) == pythons.formatTime(record, datefmt)
    record.created += 1
    assert ours.formatTime(record) == pythons.formatTime(record)


def test_warnings_of_loggers_that_nobody_has_configured_have_a_time_too():
    """For example asyncio's logger, for a task whose exception was never retrieved."""
    code = (
        "import logging; from waterspout.logs import loggers; loggers.configure();"
        "logging.getLogger('asyncio').error(1)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ ERROR asyncio 1\n", done.stderr)


@pytest.mark.parametrize("text", ["", "/plain?path=1", "~!@#$%^&*()"])
def test_printable_text_is_logged_as_it_is(text):
    assert loggers.escape(text) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a\nb", "a\\nb"),
        ("\r", "\\r"),
        ("\x1b[2J", "\\x1b[2J"),
        ("caf\xe9", "caf\\xe9"),
        ("\u2028", "\\u2028"),
        ("\x7f", "\\x7f"),
        ("\ud800", "\\ud800"),
    ],
)
def test_nothing_in_a_text_can_forge_a_line(text, escaped):
    assert loggers.escape(text) == escaped
