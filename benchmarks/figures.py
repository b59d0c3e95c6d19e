"""Medians and ratios. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """The median of the rounds' ratios: what one round's neighbours slowed, they slowed for both."""
    return statistics.median(value / other for value, other in zip(values, others, strict=True))


def order(contestants: Sequence[T], round_number: int) -> list[T]:
    """Who comes when: every second round from the last to the first."""
    return list(contestants[:: 1 if round_number % 2 == 0 else -1])
