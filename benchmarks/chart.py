"""An SVG for each question: medians as bars, the lowest and the highest round as whiskers."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from benchmarks.figures import median, ratio
from benchmarks.report import digits, remark, values_of

OURS, THEIRS, INK = "#1f6f8b", "#b8bfc6", "#1b1f23"
#: Text stays text, and the same figures give the same file.
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "waterspout",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10,
}


def write(path: Path, result: dict) -> None:
    with matplotlib.rc_context(SETTINGS):
        figure = build_figure(result)
        # A white ground of its own: it can be read on a dark page, too.
        figure.savefig(path, format=path.suffix[1:], facecolor="white", metadata={"Date": None})


def build_figure(result: dict) -> Figure:
    rounds = {name: values_of(samples) for name, samples in result["samples"].items()}
    figure = Figure(figsize=(9, 1.3 + 0.42 * len(rounds)), layout="constrained")
    axes = figure.add_subplot()
    draw_bars(axes, rounds)
    write_figures(axes, rounds, result)
    better = "less is better" if result["unit"] == "KiB" else "more is better"
    axes.set_title(f"{result['unit']}, {better}; in brackets: times {result['peer']}", loc="left", fontsize=9)
    figure.suptitle(result["title"], x=0.01, ha="left", color=INK, fontsize=12)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(left=False, bottom=False, labelbottom=False, colors=INK)
    axes.invert_yaxis()
    return figure


def draw_bars(axes, rounds: dict[str, list[float]]) -> None:
    medians = [median(values) for values in rounds.values()]
    below = [middle - min(values) for middle, values in zip(medians, rounds.values(), strict=True)]
    above = [max(values) - middle for middle, values in zip(medians, rounds.values(), strict=True)]
    colours = [OURS if name.startswith("Waterspout") else THEIRS for name in rounds]
    whiskers = {"ecolor": INK, "elinewidth": 1, "capsize": 3}
    axes.barh(list(rounds), medians, xerr=[below, above], color=colours, height=0.62, error_kw=whiskers)


def write_figures(axes, rounds: dict[str, list[float]], result: dict) -> None:
    """At each bar's end: the median, and how many times the peer's that is."""
    widest = max(max(values) for values in rounds.values())
    has_remarks = any(map(remark, result["samples"].values()))
    axes.set_xlim(0, widest * (1.7 if has_remarks else 1.25))
    for place, (values, samples) in enumerate(zip(rounds.values(), result["samples"].values(), strict=True)):
        times = ratio(values, rounds[result["peer"]])
        text = f"{median(values):,.{digits(result['unit'])}f}  ({times:.2f}){remark(samples)}"
        axes.text(max(values) + widest * 0.015, place, text, va="center", color=INK, fontsize=9)
