"""What the rules of each side are called."""

import enum

import pytest

from tests.waterspout.wsgi.telling import tell
from waterspout.wsgi.naming import Names, find_arguments


class Unit(enum.Enum):
    METRE = "m"


class Language(str, enum.Enum):  # noqa: UP042  # what StrEnum says is its value anyway
    GERMAN = "de"


class Size(enum.IntEnum):
    LARGE = 3


class Unspeakable:
    def __str__(self):
        raise ValueError


def test_arguments_stand_in_their_order():
    assert find_arguments('/<a>/<int(min=1):b>/x/<regex("a:b"):c>') == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("default", "told"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        ("de", "de"),
        (Unit.METRE, "Unit.METRE"),
        (Language.GERMAN, "de"),
        (Size.LARGE, 3),
        ({Unit.METRE: 1, (1, 2): 3}, str({Unit.METRE: 1, (1, 2): 3})),
        (Unspeakable(), "Unspeakable"),
        (10**5000, "int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_default_is_told_one_that_is_no_plain_value_as_text(default, told):
    names = Names()
    names.add("/<int:n>", "table", defaults={"default": default}, methods=None)
    assert tell(names).rules[0]["defaults"] == {"default": told}


def test_a_default_without_a_name_that_could_be_given_stops_nobody():
    names = Names()
    names.add("/a", "a", defaults={("x", 1): 1, "b": 2}, methods=None)
    names.add("/b", "b", defaults={("x", 1): 1}, methods=None)
    assert [rule["defaults"] for rule in tell(names).rules] == [{"b": 2}, None]


def test_rules_of_any_number_and_length_fit_into_frames():
    names = Names()
    for number in range(3000):
        names.add("/" + "long/" * 100 + str(number), f"e{number}", defaults=None, methods=["GET"])
    names.add("/<int:n>", "table", defaults={"table": list(range(200_000))}, methods=None)
    assert len(names.pack()) > 20
    told = tell(names).rules
    assert told[:-1] == names.rules[:-1]
    assert len(told[-1]["defaults"]["table"]) == 200
