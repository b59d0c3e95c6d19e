"""What a pool counts about its requests."""

import json
import time

import pytest

from waterspout.message.record import Record
from waterspout.ops.figures import Figures


def record(waited=0.0, ran=0.0, *, started=True):
    now = time.perf_counter()
    made = Record("wsgi", "GET", "/", "127.0.0.1", "id")
    made.submitted = now - ran - waited
    made.started = now - ran if started else None
    return made


def test_at_first_there_is_nothing():
    told = Figures().tell()
    assert told["finished"] == 0
    assert told["answers"] == {"502": 0, "503": 0, "504": 0}
    assert told["wait"]["count"] == told["run"]["count"] == 0
    assert json.loads(json.dumps(told)) == told


def test_waiting_and_running_are_told_apart():
    figures = Figures()
    figures.finish(record(waited=2.0, ran=0.3))
    told = figures.tell()
    assert told["finished"] == 1
    assert told["wait"]["max"] == pytest.approx(2.0, abs=0.05)
    assert told["run"]["max"] == pytest.approx(0.3, abs=0.05)


def test_what_no_lane_took_neither_waited_nor_ran():
    figures = Figures()
    figures.finish(record(started=False))
    assert figures.tell()["finished"] == 0
    assert figures.tell()["wait"]["count"] == 0


def test_answers_are_counted_by_status():
    figures = Figures()
    for status in (503, 502, 503, 413):
        figures.answers[status] += 1
    assert figures.tell()["answers"] == {"413": 1, "502": 1, "503": 2, "504": 0}
