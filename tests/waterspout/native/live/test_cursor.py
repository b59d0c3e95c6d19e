import pytest

from waterspout.native.live import NOTHING, format_cursor, parse_cursor


@pytest.mark.parametrize(
    ("text", "cursor"),
    [
        ("0", (0,)),
        ("17", (17,)),
        ("17.3.1", (17, 3, 1)),
        ("17.3.1.2026331", (17, 3, 1, 2026331)),
    ],
)
def test_a_cursor_is_some_numbers(text, cursor):
    assert parse_cursor(text) == cursor


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1 ", "1.", ".1", "1..2", "1.2.3.4.5", "٣", "9" * 11, "9" * 5000]
)
def test_anything_else_is_none(text):
    assert parse_cursor(text) is None


def test_it_is_written_as_it_is_read():
    assert format_cursor((17, 3, 1)) == "17.3.1"
    assert parse_cursor(format_cursor((17, 3, 1))) == (17, 3, 1)


def test_nothing_is_older_than_any():
    assert NOTHING < (0, 1, 0) < (1,) < (1, 0, 0)
