import threading
import time

import pytest

from waterspout.service.newest import Newest


@pytest.fixture
def newest():
    return Newest()


def test_a_crowd_of_threads_shares_one_making(newest):
    made, got = [], []

    def make():
        made.append(1)
        time.sleep(0.05)
        return 1, "value"

    threads = [threading.Thread(target=lambda: got.append(newest.get("a", 1, make))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == ["value"] * 20
    assert made == [1]


def test_another_version_is_made_anew_and_keys_are_apart(newest):
    assert newest.get("a", 1, lambda: (1, "one")) == "one"
    assert newest.get("a", 2, lambda: (2, "two")) == "two"
    assert newest.get("b", 2, lambda: (2, "other")) == "other"
    assert newest.get("a", 2, pytest.fail) == "two"


def test_what_was_found_newer_is_kept_as_such(newest):
    assert newest.get("a", 1, lambda: (2, "two")) == "two"
    assert newest.get("a", 2, pytest.fail) == "two"


def test_a_failure_is_not_kept(newest):
    with pytest.raises(ZeroDivisionError):
        newest.get("a", 1, lambda: 1 // 0)
    assert newest.get("a", 1, lambda: (1, "one")) == "one"


def test_so_many_are_kept_and_no_more():
    newest = Newest(2)
    made = []
    for key in "abca":
        newest.get(key, 1, lambda key=key: (1, made.append(key)))
    assert made == ["a", "b", "c", "a"]
