"""Threads that sleep, compute and wait for each other, and what is said about them."""

import errno
import resource
import time

import pytest

from waterspout.wsgi.backlog import is_possible
from waterspout.wsgi.worker.sleep import SleepMeter

pytestmark = pytest.mark.skipif(not is_possible(), reason="asked of Linux, where there are backlogs")


def compute():
    sum(range(1000))


def sleep():
    time.sleep(0.0005)


def run(*requests, alone=True):
    """After which of the requests the meter said that they sleep. It is asked before and after each."""
    meter, said = SleepMeter(), []
    for number, request in enumerate(requests):
        assert not (meter.has_slept(alone=alone, more=True) and said.append(number))
        request()
    if meter.has_slept(alone=alone, more=False):
        said.append(len(requests))
    return said


def test_views_that_compute_do_not_sleep():
    assert sum(len(run(*[compute] * 100)) for _ in range(5)) <= 1  # a page fault may be one


def test_where_it_can_t_be_asked_nobody_sleeps(monkeypatch):
    def refuse(_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(resource, "getrusage", refuse)
    assert run(sleep, sleep, sleep, sleep) == []


def test_a_view_that_sleeps_is_found_out_at_once():
    assert run(sleep, compute, compute, compute)[0] == 1


def test_views_that_sleep_now_and_then_are_left_alone():
    assert run(*[compute] * 7, sleep, *[compute] * 24) == []


def test_views_that_begin_to_sleep_are_found_out():
    assert run(*[compute] * 32, *[sleep] * 4)


def test_nothing_is_said_when_threads_may_have_waited_for_each_other():
    assert run(*[sleep] * 10, alone=False) == []


def test_a_single_request_is_not_looked_at():
    meter = SleepMeter()
    for _ in range(5):
        sleep()
        assert not meter.has_slept(alone=True, more=False)
