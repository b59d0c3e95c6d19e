"""What an exchange knows of the pool, or of the pools, that it asks for a lane."""

from __future__ import annotations

from typing import Any, Protocol

from waterspout.ops.figures import Figures
from waterspout.record import Record
from waterspout.wsgi.admission import Admission


class Dispatcher(Protocol):
    """The part of a pool that an exchange uses, and hands itself to. `started` counts requests that were
    given to a lane, `died` those that were lost with their worker.
    """

    started: int
    died: int

    @property
    def figures(self) -> Figures:
        """What is counted."""

    def find_admission(self, record: Record) -> Admission:
        """Who decides about slow clients, for the request of this record."""

    def submit(self, exchange: Any) -> None:
        """`start` it on a lane, now or when one is free, or `refuse` it."""

    def withdraw(self, exchange: Any) -> None:
        """It waits in the queue, and nobody waits for it any more."""
