"""How often something that happens often is reported."""

from waterspout.logs.tally import Tally, since_last


def test_the_first_is_said_at_once_and_others_together_behind_the_pause():
    tally = Tally(60.0)
    assert tally.count(0.0) == 1
    assert [tally.count(now) for now in (0.0, 30.0, 59.9)] == [0, 0, 0]
    assert tally.count(60.0) == 4
    assert tally.count(119.9) == 0


def test_many_at_once_are_one_word():
    assert Tally(5.0).count(1.0, 7) == 7


def test_a_look_tells_what_is_left_and_nothing_is_no_word():
    tally = Tally(5.0)
    assert tally.count(0.0, 0) == 0
    assert tally.count(1.0) == 1
    assert tally.count(2.0) == 0
    assert tally.count(6.0, 0) == 1
    assert tally.count(20.0, 0) == 0
    assert tally.count(20.0) == 1


def test_a_line_about_one_event_counts_none():
    assert since_last(1) == ""
    assert since_last(120) == " (120 such since the last such line)"
