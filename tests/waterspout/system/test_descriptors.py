"""How many descriptors there can be, and where that is said."""

import errno
import resource

import pytest

from waterspout.system import descriptors
from waterspout.system.descriptors import describe_limit, find_limit, is_shortage


@pytest.mark.parametrize(("soft", "limit"), [(1024, 1024), (resource.RLIM_INFINITY, None)])
def test_the_limit_is_that_of_this_moment(monkeypatch, soft, limit):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, resource.RLIM_INFINITY))
    assert find_limit() == limit


def test_a_system_without_such_limits_has_none(monkeypatch):
    monkeypatch.setattr(descriptors, "resource", None)
    assert find_limit() is None
    assert describe_limit(OSError(errno.EMFILE, "Too many open files")) == ""


@pytest.mark.parametrize("error", [PermissionError(errno.EPERM, "no"), ValueError("no such limit")])
def test_where_it_can_t_be_asked_it_is_unknown(monkeypatch, error):
    def refuse(which):
        raise error

    monkeypatch.setattr(resource, "getrlimit", refuse)
    assert find_limit() is None


def test_it_is_named_behind_the_error_that_it_causes(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda which: (20, 20))
    assert describe_limit(OSError(errno.EMFILE, "Too many open files")) == " (ulimit -n is 20)"
    assert describe_limit(OSError(errno.ENFILE, "Too many open files in system")) == ""
    assert describe_limit(OSError("can't start new thread")) == ""


def test_what_limits_processes_is_named_behind_an_error_that_names_nothing():
    refused = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    assert describe_limit(refused) == (
        " (allow more processes and threads: ulimit -u, ulimit -v, pids.max, TasksMax)"
    )


def test_a_shortage_is_told_from_other_errors():
    numbers = (errno.EMFILE, errno.ENFILE, errno.EPIPE, None)
    assert [is_shortage(OSError(number, "")) for number in numbers] == [True, True, False, False]
