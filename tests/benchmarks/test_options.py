"""The command line."""

import pytest

from benchmarks.options import FULL, QUICK, parse_options
from benchmarks.questions import QUESTIONS

KEYS = [question.key for question in QUESTIONS]


def test_all_questions_are_asked_unless_some_are_named():
    assert parse_options([]).only == KEYS


def test_named_questions_are_asked_in_the_tables_order():
    assert parse_options(["--only", f"{KEYS[2]}, {KEYS[0]}"]).only == [KEYS[0], KEYS[2]]


def test_a_quick_run_leaves_the_kept_results_alone():
    options = parse_options(["--quick"])
    assert (options.rounds, options.seconds) == (1, 1)
    assert options.output == QUICK["output"]
    assert options.output != FULL["output"]


def test_quick_moves_defaults_not_what_is_said():
    assert parse_options(["--quick", "--rounds", "2"]).rounds == 2


@pytest.mark.parametrize("arguments", [["--only", "nothing"], ["--rounds", "0"], ["--seconds", "-1"]])
def test_what_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as refused:
        parse_options(arguments)
    assert refused.value.code == 2
    assert arguments[1].strip("-") in capsys.readouterr().err
