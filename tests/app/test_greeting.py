import os
import sys
from contextlib import suppress

import pytest

from app.first_run import EXAMPLE_OPERATOR, prepare_database
from app.greeting import greet
from app.passwords import derive_password, hash_password
from app.settings import Settings
from app.store.operators import disable_operator, set_password
from tests.app.databases import sqlite_url
from waterspout.service.sql import Store


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings.from_environment({"BOARD_FOLDER": str(tmp_path)})
    prepare_database(settings)
    return settings


@pytest.fixture
def store(settings):
    store = Store(settings.database_url)
    yield store
    store.close()


def test_it_says_how_to_sign_in_at_every_start(settings, capsys):
    for _ in range(2):
        greet(settings)
        said = capsys.readouterr().out
        assert "/login" in said
        assert EXAMPLE_OPERATOR in said
        assert said.count(derive_password(settings.secret_key, EXAMPLE_OPERATOR)) == 1


def test_a_password_of_somebodys_own_is_not_guessed_at(settings, store, capsys):
    store.write(set_password, EXAMPLE_OPERATOR, hash_password("correct horse"))
    greet(settings)
    assert capsys.readouterr().out == ""


def test_who_may_not_sign_in_is_not_told_how(settings, store, capsys):
    store.write(disable_operator, EXAMPLE_OPERATOR)
    greet(settings)
    assert capsys.readouterr().out == ""


def test_a_board_of_ones_own_says_nothing(tmp_path, capsys):
    settings = Settings(sqlite_url(tmp_path / "board.sqlite3"))
    prepare_database(settings)
    greet(settings)
    assert capsys.readouterr().out == ""


def test_where_nothing_can_be_printed_the_board_starts_all_the_same(settings, monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    greeted = False
    with suppress(BrokenPipeError), os.fdopen(writing, "w") as broken:  # closing it raises once more
        monkeypatch.setattr(sys, "stdout", broken)
        greet(settings)
        greeted = True
    assert greeted
