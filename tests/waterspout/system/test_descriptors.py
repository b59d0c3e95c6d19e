"""How many descriptors there can be, and where that is said."""

import errno
import math
import os
import resource

import pytest

from waterspout.system import descriptors
from waterspout.system.descriptors import Reserve, describe_limit, find_limit, is_shortage


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
    assert all(is_shortage(OSError(number, "")) for number in (errno.EMFILE, errno.EAGAIN, errno.ENOMEM))
    assert not any(is_shortage(OSError(number, "")) for number in (errno.EPIPE, None))


@pytest.fixture
def reserve():
    """Of the highest 20 of this process's, or of the 60,000 that it may have."""
    made = Reserve()
    limit = find_limit()
    made.used = 10 + (0 if limit is None else max(0, limit - 60_000))
    made.more = 10
    return made


def test_what_is_moved_there_is_the_same_and_has_a_number_that_clients_don_t_get(reserve, pair):
    near, far = pair
    moved = reserve.move_socket(near)
    assert near.fileno() == -1
    with moved:
        assert moved.fileno() >= reserve.first
        assert not moved.get_inheritable()
        moved.sendall(b"a")
        assert far.recv(2) == b"a"
        assert reserve.move_socket(moved) is moved


def test_so_is_a_descriptor(reserve):
    reading, writing = os.pipe()
    moved = reserve.move(reading)
    try:
        assert moved >= reserve.first
        os.write(writing, b"a")
        assert os.read(moved, 2) == b"a"
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(reading)
    finally:
        os.close(moved)
        os.close(writing)


@pytest.mark.parametrize(
    ("limit", "used", "more"),
    [(None, 10, 10), (1000, 0, 0), (1000, 1000, 10), (math.inf, 10, 10)],
    ids=["no limit", "nobody has asked for any", "nothing is left for clients", "a table too large"],
)
def test_without_a_reserve_everything_stays_where_it_is(monkeypatch, pair, limit, used, more):
    monkeypatch.setattr(descriptors, "find_limit", lambda: limit and min(limit, 10**9))
    made = Reserve()
    made.used, made.more = used, more
    assert made.move_socket(pair[0]) is pair[0]


def test_what_one_server_needs_is_kept_until_that_one_ends():
    made = Reserve()
    with made.enlarged(10, 26, 5):
        with made.enlarged(100, 116):
            assert (made.used, made.more, made.lower) == (110, 142, 5)
        assert (made.used, made.more, made.lower) == (10, 26, 5)
    assert (made.used, made.more, made.lower) == (0, 0, 0)


def test_where_all_of_it_is_in_use_the_number_stays(reserve, pair, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(descriptors.fcntl, "fcntl", refuse)
    assert reserve.move_socket(pair[0]) is pair[0]
    assert reserve.move(pair[0].fileno()) == pair[0].fileno()
