"""The `Date` header, and where a client came in."""

import socket
import time
from email.utils import parsedate_to_datetime
from types import SimpleNamespace

import pytest

from waterspout.origin import find_local_address, http_date


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


@pytest.mark.parametrize(("scheme", "port"), [("http", "80"), ("https", "443")])
def test_who_came_in_by_no_port_came_by_the_scheme_s(scheme, port):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert find_local_address(SimpleNamespace(socket=ours), scheme) == ("localhost", port)
    assert find_local_address(SimpleNamespace(socket=ours), scheme) == ("localhost", port)
    assert find_local_address(None, scheme) == ("localhost", port)


def test_who_came_in_by_a_port_came_by_that():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        found = find_local_address(SimpleNamespace(socket=sock), "http")
    assert found[0] == "127.0.0.1"
    assert found[1].isdecimal()
