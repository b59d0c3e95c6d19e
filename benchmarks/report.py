"""RESULTS.md, from what results.json holds. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import median, ratio

HEAD = """# Results

Written by `python -m benchmarks`; the method, and how to read this, is in [README.md](../README.md). Ratios
are medians of the rounds' ratios, and what to compare; absolute figures say as much of the machine.
"""
#: Heads of columns, what they show, and with how many digits behind the point. A question has those that its
#: samples have.
COLUMNS = {
    "p99, ms": ("p99_ms", 1),
    "CPU µs each": ("cpu_us", 1),
    "native/s, idle": ("idle", 0),
    "native/s, loaded": ("loaded", 0),
    "p99 idle, ms": ("idle_p99_ms", 1),
    "p99 loaded, ms": ("loaded_p99_ms", 1),
    "Flask/s": ("flask", 1),
    "memory, MiB more": ("growth", 1),
    "CPU ms for each MiB": ("cpu_ms", 2),
}
#: A server under this load fills its core; with less of it than this, it or wrk waited for somebody else.
DISTURBED = 0.9
#: Digits behind the point.
DIGITS = {"requests/s": 0, "KiB": 1, "MiB/s": 0}


def digits(unit: str) -> int:
    return DIGITS.get(unit, 1)


def describe(sample: dict[str, float], unit: str, *, pinned: bool) -> str:
    """One figure, with a word of warning where the server could not fill its core."""
    said = f"{sample['value']:.{digits(unit)}f} {unit}"
    if pinned and sample["busy"] < DISTURBED:
        said += f", with only {sample['busy']:.0%} of its core: this box is not quiet"
    return said


def build_report(results: dict[str, dict]) -> str:
    return "\n".join([HEAD, *(build_section(key, result) for key, result in results.items())])


def build_section(key: str, result: dict) -> str:
    left_out = "".join(
        f"Left out, because what it needs is not there: {name}.\n\n" for name in result["left_out"]
    )
    chart = f"![{result['title']}]({key}.svg)"
    notes = f"{left_out}{build_core_note(result)}{build_origin(result)}"
    return f"## {result['title']}\n\n{build_table(result)}\n{chart}\n\n{notes}"


def build_table(result: dict) -> str:
    """A table in Markdown: a row for each contestant, in the order of the contestants' table."""
    heads = ["server", f"{result['unit']} (median)", "lowest to highest"]
    heads += [head for head, (name, _) in COLUMNS.items() if has(result, name)]
    heads += [f"times {result[name]}" for name in ("baseline", "peer")]
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *build_rows(result)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def build_rows(result: dict) -> Iterator[list[str]]:
    values = {name: values_of(samples) for name, samples in result["samples"].items()}
    places = digits(result["unit"])
    for name, own in values.items():
        row = [name, f"{median(own):.{places}f}", f"{min(own):.{places}f} to {max(own):.{places}f}"]
        for column, behind in COLUMNS.values():
            if has(result, column):
                row.append(f"{median([each[column] for each in result['samples'][name]]):.{behind}f}")
        row += [f"{ratio(own, values[result[other]]):.2f}" for other in ("baseline", "peer")]
        yield row


def remark(samples: list[dict[str, float]]) -> str:
    """What a chart says of one contestant beside its figure and ratio."""
    middle = {name: median([each[name] for each in samples]) for name in samples[0]}
    if "loaded_p99_ms" in middle:
        return f", p99 {middle['loaded_p99_ms']:.1f} ms, Flask {middle['flask']:.0f}/s"
    return f", {middle['growth']:+.0f} MiB" if "growth" in middle else ""


def values_of(samples: list[dict[str, float]]) -> list[float]:
    return [sample["value"] for sample in samples]


def has(result: dict, column: str) -> bool:
    return all(column in sample for samples in result["samples"].values() for sample in samples)


def build_core_note(result: dict) -> str:
    """How quiet the box was: how much of its core each server used, in each round."""
    if not result["pinned"]:
        return ""
    shares = [sample["busy"] for samples in result["samples"].values() for sample in samples]
    return f"While measured, servers used {min(shares):.0%} to {max(shares):.0%} of their core.\n\n"


def build_origin(result: dict) -> str:
    """Where the figures come from: date, machine, versions, command."""
    box = result["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in box["versions"].items())
    return (
        f"Measured {box['date']} with `{result['command']}`: {result['rounds']} rounds, {result['load']}; "
        f"{box['cores']} cores ({box['processor']}), {box['system']}.\n\nVersions: {versions}.\n"
    )
