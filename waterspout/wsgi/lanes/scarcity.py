"""Logs that lanes can't be had, because the machine allows no more threads: one line for many of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from waterspout import limits
from waterspout.logs.tally import Tally
from waterspout.system.descriptors import MORE_TASKS
from waterspout.wsgi.lanes.crew import Crew

logger = logging.getLogger("waterspout.wsgi")

#: What helps, for the end of a log line.
MORE_DESCRIPTORS: Final = "allow more (ulimit -n, LimitNOFILE), or use fewer (--wsgi-threads)"
MORE_THREADS: Final = f"allow more ({MORE_TASKS}), or use fewer (--wsgi-threads)"


class Scarcity:
    """For one pool: each of its processes reports it once, and one line a minute for all is enough."""

    def __init__(self) -> None:
        self._tally = Tally(limits.SCARCE_PAUSE)

    def tell(self, crew: Crew, lanes: int, why: str) -> None:
        """`crew` has `lanes` lanes; `why` it gets no more; "": these are all."""
        if not why:
            logger.info("%s: all of its %d lanes serve by now", crew, lanes)
            return
        if self._tally.count(asyncio.get_running_loop().time()):
            logger.error(
                "%s: %s: only %d of %d lanes serve; %s",
                crew,
                why,
                lanes,
                crew.spec.threads,
                MORE_THREADS,
            )
