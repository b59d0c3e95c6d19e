"""The time that is left."""

import pytest

from benchmarks.progress import Progress, format_duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-3, "0 s"), (59.4, "59 s"), (89, "89 s"), (121, "2 min"), (3600, "60 min")],
)
def test_a_duration_is_a_few_words(seconds, text):
    assert format_duration(seconds) == text


def test_turns_so_far_stretch_the_plan(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr("benchmarks.progress.time.monotonic", lambda: now[0])
    progress = Progress(100.0)
    assert progress.estimate() == 100.0
    now[0] += 20.0
    progress.end("9056 requests/s", planned=10.0)
    assert progress.estimate() == 180.0
    assert capsys.readouterr().err == "9056 requests/s  (about 3 min left)\n"
