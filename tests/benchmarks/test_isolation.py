"""What is kept of a turn with two wrk processes, and the views that they load."""

import time

import pytest

from benchmarks.apps import flask_app
from benchmarks.isolation import build_sample
from benchmarks.questions import QUESTIONS

ISOLATIONS = [question for question in QUESTIONS if question.measure == "isolation"]


def test_what_is_kept_is_a_share_of_the_same_turn_s_idle_throughput():
    idle = {"value": 4000.0, "p99_ms": 1.5, "requests": 16000}
    loaded = {"value": 3000.0, "p99_ms": 4.0, "requests": 12000}
    flask = {"value": 60.5, "p99_ms": 900.0, "requests": 300}
    assert build_sample(idle, loaded, flask) == {
        "value": 75.0,
        "idle": 4000.0,
        "loaded": 3000.0,
        "idle_p99_ms": 1.5,
        "loaded_p99_ms": 4.0,
        "flask": 60.5,
    }


def test_the_view_that_computes_does_so_for_its_own_20_ms():
    with flask_app.app.test_client() as client:
        begun = time.thread_time()
        assert client.get("/burn").text == "burnt"
        assert time.thread_time() - begun >= 0.02


@pytest.mark.parametrize("question", ISOLATIONS, ids=lambda question: question.key)
def test_the_loaded_view_answers_what_is_expected_of_it(question):
    with flask_app.app.test_client() as client:
        assert client.get(question.load_path).text == question.load_expected
