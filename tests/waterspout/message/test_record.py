"""Request ids, and the access line."""

import logging
import re

import pytest

from waterspout.message.record import Record, is_logged, make_request_id

LINE = r"192\.0\.2\.7 GET /path\?a=b 200 5B \d+\.\dms wsgi id-1"


def make_record(**changes):
    facts = {"owner": "wsgi", "method": "GET", "target": "/path?a=b", "remote_addr": "192.0.2.7"}
    return Record(**facts | {"request_id": "id-1"} | changes)


@pytest.mark.parametrize("proposed", ["a", "A-1.b_c~d", "5f3c", "!#$%&'*+-.^_`|~", "x" * 128])
def test_a_well_formed_id_is_kept(proposed):
    assert make_request_id(proposed) == proposed


@pytest.mark.parametrize(
    "proposed",
    [None, "", " ", "a b", "a,b", "a\n", "a\r\nX: y", "caf\xe9", '"a"', "a;b", "<a>", "\0", "x" * 129],
)
def test_any_other_id_is_replaced(proposed):
    made = make_request_id(proposed)
    assert made
    assert made != proposed
    assert make_request_id(made) == made


def test_ids_are_never_repeated():
    assert len({make_request_id(None) for _ in range(1000)}) == 1000


def test_the_line_says_who_asked_what_and_got_what(access_log):
    record = make_record()
    record.status, record.bytes_sent = 200, 5
    record.log()
    assert re.fullmatch(LINE, access_log.messages[0])


def test_a_client_that_left_before_it_got_a_status_has_none(access_log):
    make_record().log()
    assert "/path?a=b - 0B" in access_log.messages[0]


def test_what_was_not_as_usual_is_the_last_word(access_log):
    record = make_record()
    record.note = "client-left"
    record.log()
    assert access_log.messages[0].endswith(" wsgi id-1 client-left")


@pytest.mark.parametrize("part", ["method", "target"])
def test_the_line_is_one_line(access_log, part):
    make_record(**{part: "/\n\x1b[2J\xe9"}).log()
    assert access_log.messages[0].isprintable()
    assert access_log.messages[0].isascii()


def test_it_costs_nothing_when_nobody_reads_it(caplog):
    caplog.set_level(logging.WARNING, "waterspout.access")
    make_record().log()
    assert caplog.messages == []


def test_the_time_is_that_since_the_head_was_read(access_log):
    record = make_record()
    record.opened -= 2
    record.log()
    assert 2000 <= float(re.search(r"([\d.]+)ms", access_log.messages[0])[1]) < 60_000
    assert record.started is None


def test_a_record_is_one_of_logging_s_with_its_filters_and_factory(access_log):
    """What is configured keeps working: the logger's filters, and a factory of records."""
    logger, factory = logging.getLogger("waterspout.access"), logging.getLogRecordFactory()
    made = []

    def make(*args, **kwargs):
        made.append(factory(*args, **kwargs))
        return made[-1]

    def refuse(record):
        return "secret" not in record.getMessage()

    logging.setLogRecordFactory(make)
    logger.addFilter(refuse)
    try:
        make_record().log()
        make_record(target="/secret").log()
    finally:
        logging.setLogRecordFactory(factory)
        logger.removeFilter(refuse)
    assert len(made) == 2
    assert len(access_log.messages) == 1
    line = access_log.records[0]
    assert (line.name, line.levelname, line.filename, line.funcName) == (
        *("waterspout.access", "INFO", "record.py", "log"),
    )
    assert line.lineno > 1


def test_a_level_that_changes_at_run_time_is_obeyed(access_log):
    logger = logging.getLogger("waterspout.access")
    make_record().log()
    for silence in ("level", "disabled"):
        logger.setLevel(logging.WARNING if silence == "level" else logging.INFO)
        logger.disabled = silence == "disabled"
        make_record().log()
        assert not is_logged()
    logger.disabled = False
    make_record().log()
    assert is_logged()
    assert len(access_log.messages) == 2
