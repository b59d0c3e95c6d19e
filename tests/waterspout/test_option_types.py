"""Sizes, modes, and the other types of option values."""

import click
import pytest

from waterspout.exceptions import ConfigurationError
from waterspout.option_types import Mode, Nice, Number, Parsed, Port, Seconds, Size, Time, format_size


@pytest.mark.parametrize(
    ("text", "nice"), [("auto", -1), ("idle", 20), ("IDLE", 20), ("0", 0), (" 19 ", 19), (7, 7)]
)
def test_a_priority_is_a_number_or_a_word(text, nice):
    assert Nice().convert(text, None, None) == nice


@pytest.mark.parametrize("text", ["", "20", "-1", "1.5", "low", "007"])
def test_any_other_priority_is_refused(text):
    with pytest.raises(click.BadParameter, match="neither auto nor idle nor a number from 0 to 19"):
        Nice().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("64KiB", 64 * 1024),
        ("10MiB", 10 * 1024**2),
        ("1GiB", 1024**3),
        ("1gib", 1024**3),
        (" 2 MIB ", 2 * 1024**2),
        ("9" * 15, int("9" * 15)),
        (17, 17),
    ],
)
def test_a_size_is_a_number_and_perhaps_a_unit(text, size):
    assert Size().convert(text, None, None) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1.5MiB",
        "1KB",
        "1k",
        "1TiB",
        "MiB",
        "1 Mi B",
        "0x10",
        "1_000",
        "\u0663",
        "9" * 16,
    ],
)
def test_any_other_size_is_refused_with_examples(text):
    with pytest.raises(click.BadParameter, match="4096, 64KiB, 10MiB or 1GiB"):
        Size().convert(text, None, None)


@pytest.mark.parametrize(
    ("text", "said"), [("99", "at least 100"), ("1025", "at most 1KiB"), ("1MiB", "at most 1KiB")]
)
def test_a_size_out_of_its_bounds_is_refused_with_them(text, said):
    assert [Size(100, 1024).convert(each, None, None) for each in ("100", "1KiB")] == [100, 1024]
    with pytest.raises(click.BadParameter, match=said):
        Size(100, 1024).convert(text, None, None)


@pytest.mark.parametrize("text", ["1", "8190", "1KiB", "64KiB", "10MiB", "1GiB"])
def test_a_default_is_written_as_it_is_read(text):
    assert format_size(Size().convert(text, None, None)) == text


@pytest.mark.parametrize(("text", "mode"), [("660", 0o660), ("0600", 0o600), ("0o777", 0o777)])
def test_a_mode_is_read_as_chmod_reads_it(text, mode):
    assert Mode().convert(text, None, None) == mode


def parse(text):
    if text != "good":
        raise ConfigurationError(f"{text} is not good")
    return 7


def test_what_a_function_reads_is_refused_in_its_own_words():
    assert Parsed("thing", parse).convert("good", None, None) == 7
    assert Parsed("thing", parse).convert(7, None, None) == 7
    with pytest.raises(click.BadParameter, match="bad is not good"):
        Parsed("thing", parse).convert("bad", None, None)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Number(0), "four", "'four' is not a valid whole number"),
        (Time(0), "5m", "'5m' is not a valid number of seconds"),
        (Seconds(), "60s", "'60s' is not a valid number of seconds"),
        (Port(0, 65535), "http", "'http' is not a valid port number"),
    ],
)
def test_what_is_no_number_is_refused_with_the_kind_that_is_wanted(kind, text, said):
    with pytest.raises(click.BadParameter, match=said):
        kind.convert(text, None, None)
