import pytest

from handlers.version import NOTHING, format_version, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("0", (0,)),
        ("17", (17,)),
        ("17.3.1", (17, 3, 1)),
        ("17.3.1.331", (17, 3, 1)),  # as the store says it, with the day
    ],
)
def test_a_cursor_is_some_numbers(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1 ", "1.", ".1", "1..2", "1.2.3.4.5", "٣", "9" * 11, "9" * 5000]
)
def test_anything_else_is_none(text):
    assert parse_version(text) is None


def test_it_is_written_as_it_is_read():
    assert format_version((17, 3, 1)) == "17.3.1"
    assert parse_version(format_version((17, 3, 1))) == (17, 3, 1)


def test_nothing_is_older_than_any():
    assert NOTHING < (0, 1, 0) < (1,) < (1, 0, 0)
