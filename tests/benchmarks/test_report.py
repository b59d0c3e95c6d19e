"""RESULTS.md."""

from benchmarks import report
from tests.benchmarks.samples import make_result

TABLE = """\
| server | requests/s (median) | lowest to highest | p99, ms | CPU µs each | times Tornado | times uvicorn |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
| Tornado | 100 | 50 to 200 | 7.9 | 100.0 | 1.00 | 0.50 |
| Waterspout | 300 | 100 to 400 | 7.9 | 100.0 | 2.00 | 1.00 |
| uvicorn | 200 | 100 to 400 | 7.9 | 100.0 | 2.00 | 1.00 |
"""


def test_a_table_has_medians_spread_and_ratios():
    assert report.build_table(make_result()) == TABLE


def test_memory_has_no_latency_and_a_digit_behind_the_point():
    samples = {"Tornado": [{"value": 12.34}], "aiohttp": [{"value": 6.17}]}
    table = report.build_table(make_result(unit="KiB", peer="aiohttp", samples=samples))
    assert (
        table.splitlines()[0]
        == "| server | KiB (median) | lowest to highest | times Tornado | times aiohttp |"
    )
    assert table.splitlines()[2] == "| Tornado | 12.3 | 12.3 to 12.3 | 1.00 | 2.00 |"


def test_a_report_says_where_its_figures_come_from():
    text = report.build_report({"native": make_result()})
    for said in (
        "## JSON, one core",
        TABLE,
        "](native.svg)",
        "2026-11-24",
        "2 cores",
        "tornado 6.6.1",
        "`python3 -m benchmarks --only native`: 3 rounds, 4 s, 32 connections",
        "servers used 50% to 97% of their core",
    ):
        assert said in text


def test_who_was_left_out_is_named():
    assert "Left out, because what it needs is not there: Lean." in report.build_report(
        {"native": make_result(left_out=["Lean"])}
    )


def test_a_core_that_others_used_is_said():
    quiet, loud = ({"value": 9056.31, "busy": busy} for busy in (0.97, 0.5))
    assert report.describe(quiet, "requests/s", pinned=True) == "9056 requests/s"
    assert "with only 50% of its core" in report.describe(loud, "requests/s", pinned=True)
    assert report.describe(loud, "requests/s", pinned=False) == "9056 requests/s"


ISOLATED = {
    "value": 97.6,
    "idle": 9000,
    "loaded": 8784,
    "idle_p99_ms": 0.9,
    "loaded_p99_ms": 1.84,
    "flask": 57.2,
}
MOVED = {"value": 136.4, "growth": 3.6, "cpu_ms": 3.111}


def test_isolation_has_both_sides():
    result = make_result(unit="% of idle", baseline="us", peer="us", pinned=False, samples={"us": [ISOLATED]})
    heads, _, row = report.build_table(result).splitlines()
    assert heads.startswith(
        "| server | % of idle (median) | lowest to highest | native/s, idle | native/s, loaded | "
        "p99 idle, ms | p99 loaded, ms | Flask/s |"
    )
    assert row.startswith("| us | 97.6 | 97.6 to 97.6 | 9000 | 8784 | 0.9 | 1.8 | 57.2 |")


def test_a_transfer_has_its_memory():
    result = make_result(unit="MiB/s", baseline="us", peer="us", pinned=False, samples={"us": [MOVED]})
    heads, _, row = report.build_table(result).splitlines()
    assert "| memory, MiB more | CPU ms for each MiB |" in heads
    assert row.startswith("| us | 136 | 136 to 136 | 3.6 | 3.11 |")


def test_a_chart_remarks_what_a_bar_can_t_show():
    assert report.remark([ISOLATED]) == ", p99 1.8 ms, Flask 57/s"
    assert report.remark([MOVED]) == ", +4 MiB"
    assert report.remark([{"value": 1.0}]) == ""
