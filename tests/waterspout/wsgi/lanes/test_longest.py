"""Which lanes run what has been running longest."""

from types import SimpleNamespace

from waterspout.wsgi.lanes.longest import describe_longest, find_longest


def lane(started, *, busy=True, view="GET /"):
    record = SimpleNamespace(request_id="id", started=started)
    return SimpleNamespace(busy=busy, view=view, record=record, seconds=1.0)


def test_the_longest_comes_first_and_no_more_than_were_asked_for():
    lanes = [lane(started) for started in (5.0, 1.0, 3.0, 4.0)]
    assert [each.record.started for each in find_longest(lanes, 3)] == [1.0, 3.0, 4.0]
    assert len(find_longest(lanes, 9)) == 4


def test_what_is_over_and_what_has_not_begun_runs_not():
    assert find_longest([lane(1.0, busy=False), lane(None)], 5) == []


def test_what_most_lanes_run_is_named_though_another_has_been_running_for_longer():
    """A stream that is meant to last, or a view that was given up, is not what the others wait for."""
    lanes = [lane(1.0, view="GET /stream"), *(lane(float(number), view="POST /pay") for number in (2, 3))]
    assert describe_longest(lanes).startswith("the longest-running is GET /stream, for ")
    assert describe_longest(lanes).endswith(" s; 2 lanes run POST /pay")
    assert describe_longest(lanes[:2]).endswith(" s")
    assert describe_longest([]) == "nothing is running"
