"""Reading what wrk prints."""

import pytest

from benchmarks.throughput import parse_wrk
from tests.benchmarks.samples import WRK


def test_figures_are_read():
    assert parse_wrk(WRK.format(trouble="")) == {"value": 9056.31, "p99_ms": 7.91, "requests": 9070}


@pytest.mark.parametrize(
    ("said", "milliseconds"), [("812.00us", 0.812), ("7.91ms", 7.91), ("1.20s", 1200.0), ("1.00m", 60000.0)]
)
def test_latency_is_read_in_its_unit(said, milliseconds):
    output = WRK.format(trouble="").replace("7.91ms", said)
    assert parse_wrk(output)["p99_ms"] == pytest.approx(milliseconds)


@pytest.mark.parametrize(
    "trouble",
    ["Socket errors: connect 0, read 3, write 0, timeout 0", "Non-2xx or 3xx responses: 12"],
)
def test_a_failed_request_is_an_error_that_quotes_wrk(trouble):
    with pytest.raises(ValueError, match=trouble):
        parse_wrk(WRK.format(trouble=f"  {trouble}\n"))


@pytest.mark.parametrize(
    "output",
    ["", "unable to connect to 127.0.0.1:1 Connection refused", WRK.replace("9070 req", "0 req")],
)
def test_no_figures_are_an_error(output):
    with pytest.raises(ValueError, match="no figures"):
        parse_wrk(output.format(trouble="") if "{" in output else output)


def test_a_load_that_nobody_was_answered_under_may_be_one():
    assert parse_wrk(WRK.replace("9070 req", "0 req").format(trouble=""), least=0)["requests"] == 0
