"""The tables, and the command that shows them."""

import importlib
import subprocess
import sys

import pytest

from benchmarks.environment import ROOT
from benchmarks.questions import QUESTIONS


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_names_are_different_and_those_of_the_ratios_are_there(question):
    names = [contestant.name for contestant in question.contestants]
    assert len(set(names)) == len(names)
    assert {question.baseline, question.peer} <= set(names)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_those_of_the_ratios_need_nothing(question):
    assert not [
        contestant.name
        for contestant in question.contestants
        if contestant.needs and contestant.name in (question.baseline, question.peer)
    ]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.key)
def test_every_command_takes_a_port_and_nothing_unknown(question):
    for contestant in question.contestants:
        command = [part.format(port=1234, cores=2) for part in contestant.command]
        assert any("1234" in part for part in command), contestant.name


def test_what_waterspout_serves_can_be_imported():
    named = {
        part.partition(":")[0]
        for question in QUESTIONS
        for contestant in question.contestants
        if "waterspout" in contestant.command and not contestant.needs
        for part in contestant.command
        if part.startswith("benchmarks.")
    }
    assert named
    for module in named:
        importlib.import_module(module)


def test_the_list_is_printed_and_nothing_is_measured():
    command = [sys.executable, "-m", "benchmarks", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    for question in QUESTIONS:
        assert f"{question.key}: {question.title}\n" in done.stdout
