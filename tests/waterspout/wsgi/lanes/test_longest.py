"""Which lanes run what has been running longest."""

from types import SimpleNamespace

from waterspout.wsgi.lanes.longest import find_longest


def lane(started, *, busy=True):
    return SimpleNamespace(busy=busy, view="GET /", record=SimpleNamespace(request_id="id", started=started))


def test_the_longest_comes_first_and_no_more_than_were_asked_for():
    lanes = [lane(started) for started in (5.0, 1.0, 3.0, 4.0)]
    assert [each.record.started for each in find_longest(lanes, 3)] == [1.0, 3.0, 4.0]
    assert len(find_longest(lanes, 9)) == 4


def test_what_is_over_and_what_has_not_begun_runs_not():
    assert find_longest([lane(1.0, busy=False), lane(None)], 5) == []
