"""The time of our lines is the server's local time."""

import logging
import os
import time

import pytest

from waterspout.logs import local_time
from waterspout.logs.local_time import LocalTime
from waterspout.logs.loggers import LineFormatter

WINTER, SUMMER = 1_800_000_000, 1_815_000_000
BERLIN = "/usr/share/zoneinfo/Europe/Berlin"


@pytest.fixture
def set_zone():
    """Sets TZ, as Django does; None: it is not set."""
    before = os.environ.get("TZ")

    def set_zone(name):
        os.environ.pop("TZ", None)
        if name is not None:
            os.environ["TZ"] = name
        time.tzset()

    yield set_zone
    set_zone(before)


@pytest.mark.parametrize("second", [WINTER, SUMMER])
@pytest.mark.parametrize("begun", [None, "", "UTC", "Europe/Berlin", ":Europe/Berlin", "America/Chicago"])
@pytest.mark.parametrize("later", ["Asia/Tokyo", "Europe/Berlin", "UTC"])
def test_it_stays_what_it_was_in_winter_and_in_summer(set_zone, begun, later, second):
    set_zone(begun)
    expected = time.localtime(second)[:6]
    tell = LocalTime(begun)
    assert tell(second)[:6] == expected
    set_zone(later)
    assert tell(second)[:6] == expected


@pytest.mark.parametrize("second", [WINTER, SUMMER])
def test_a_process_that_inherits_another_has_the_server_s(set_zone, second):
    set_zone("Europe/Berlin")
    expected = time.localtime(second)[:6]
    set_zone("Asia/Tokyo")
    assert LocalTime("Europe/Berlin")(second)[:6] == expected


@pytest.mark.skipif(not os.path.exists(BERLIN), reason=f"no time zones on this system: {BERLIN}")
@pytest.mark.parametrize("second", [WINTER, SUMMER])
def test_where_no_variable_is_set_the_system_s_rules_count(set_zone, monkeypatch, second):
    set_zone("Europe/Berlin")
    expected = time.localtime(second)[:6]
    monkeypatch.setattr(local_time, "_SYSTEM", BERLIN)
    set_zone("Asia/Tokyo")
    assert LocalTime(None)(second)[:6] == expected


@pytest.mark.skipif(not os.path.exists(BERLIN), reason=f"no time zones on this system: {BERLIN}")
@pytest.mark.parametrize("second", [WINTER, SUMMER])
@pytest.mark.parametrize("begun", [BERLIN, f":{BERLIN}"])
def test_a_variable_that_names_a_file_is_followed_in_winter_and_in_summer(set_zone, begun, second):
    """TZ=:/etc/localtime is often set, to save a system call for each time."""
    set_zone(begun)
    expected = time.localtime(second)[:6]
    tell = LocalTime(begun)
    set_zone("Asia/Tokyo")
    assert tell(second)[:6] == expected


def test_a_variable_set_without_tzset_changes_nothing(set_zone, monkeypatch):
    set_zone("UTC")
    expected = time.localtime(WINTER)[:6]
    tell = LocalTime("UTC")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.mktime(time.gmtime())  # the C library sets the zone
    assert tell(WINTER)[:6] == expected


def test_where_the_system_has_no_rules_it_is_utc_whatever_a_process_inherits(set_zone, monkeypatch, tmp_path):
    """As in a small container, where native code has set Django up."""
    monkeypatch.setattr(local_time, "_SYSTEM", str(tmp_path / "none"))
    set_zone("Asia/Tokyo")
    assert LocalTime(None)(WINTER)[:6] == time.gmtime(WINTER)[:6]


def test_of_rules_that_are_spelled_out_the_distance_from_utc_is_kept(set_zone):
    set_zone("XYZ-5:30")
    expected = time.localtime(WINTER)[:6]
    tell = LocalTime("XYZ-5:30")
    set_zone("Asia/Tokyo")
    assert tell(WINTER)[:6] == expected


def test_our_lines_go_by_it(set_zone):
    set_zone("UTC")
    formatter = LineFormatter(time_zone="UTC")
    set_zone("Asia/Tokyo")
    record = logging.makeLogRecord({"created": WINTER + 0.25, "msecs": 250})
    assert formatter.formatTime(record) == "2027-01-15 08:00:00,250"


def test_who_wants_utc_in_all_lines_has_it(set_zone, monkeypatch):
    """By the way that Python's documentation gives."""
    set_zone("Asia/Tokyo")
    formatter = LineFormatter(time_zone="Asia/Tokyo")
    monkeypatch.setattr(logging.Formatter, "converter", time.gmtime)
    record = logging.makeLogRecord({"created": WINTER, "msecs": 0})
    assert formatter.formatTime(record) == "2027-01-15 08:00:00,000"
