"""Medians, ratios, order."""

import pytest

from benchmarks.figures import median, order, ratio


def test_a_median_is_one_of_the_middle():
    assert median([9.0, 1.0, 2.0]) == 2.0


def test_a_ratio_is_the_median_of_the_rounds_ratios_not_the_ratio_of_the_medians():
    ours, theirs = [10.0, 100.0, 60.0], [1.0, 100.0, 20.0]
    assert ratio(ours, theirs) == 3.0
    ours, theirs = [300.0, 20.0, 40.0], [100.0, 10.0, 10.0]
    assert ratio(ours, theirs) == 3.0
    assert median(ours) / median(theirs) == 4.0


def test_rounds_that_do_not_match_have_no_ratio():
    with pytest.raises(ValueError):
        ratio([1.0, 2.0], [1.0])


def test_every_second_round_goes_backwards():
    assert [order("abc", number) for number in range(3)] == [list("abc"), list("cba"), list("abc")]
