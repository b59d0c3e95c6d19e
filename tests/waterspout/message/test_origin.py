"""The `Date` and `Server` headers."""

import time
from email.utils import parsedate_to_datetime

import pytest

from waterspout.message.origin import http_date, origin_fields


@pytest.mark.parametrize(
    ("now", "text"),
    [
        (0.0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777.999, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (784111778.0, "Sun, 06 Nov 1994 08:49:38 GMT"),
    ],
)
def test_it_is_written_as_rfc_9110_says(monkeypatch, now, text):
    monkeypatch.setattr(time, "time", lambda: now)
    assert http_date() == text


def test_it_goes_on_with_the_clock(monkeypatch):
    texts = []
    for now in (1000.0, 1000.5, 1001.0, 1002.0, 1000.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        texts.append(http_date())
    assert texts[0] == texts[1] == texts[4]
    assert len(set(texts)) == 3


def test_it_is_now():
    assert abs(parsedate_to_datetime(http_date()).timestamp() - time.time()) < 5


def test_both_fields_are_lines_that_go_on_with_the_clock(monkeypatch):
    for now in (1000.0, 1000.5, 1002.0):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert origin_fields() == f"Date: {http_date()}\r\nServer: waterspout\r\n"
