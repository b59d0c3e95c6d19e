"""Crews that are starting: the log says when that takes long, and where it hangs; it can be given up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from waterspout import limits
from waterspout.logs.standing import describe_place
from waterspout.wsgi.lanes.crew import Crew

logger = logging.getLogger("waterspout.wsgi")


class Arrival:
    """`crews` that start together. `says` is the prefix of log messages; `others_serve` tells whether old
    crews serve requests meanwhile.
    """

    def __init__(self, crews: list[Crew], says: str, others_serve: Callable[[], bool]) -> None:
        self._crews = crews
        self._says = says
        self._others_serve = others_serve
        self._starts: dict[Crew, asyncio.Task[None]] = {}
        self._given_up = False

    async def wait(self) -> list[tuple[Crew, BaseException | None]]:
        """Start all, and wait until each has started or failed. Returns the exception that kept each one from
        starting, or None if it started; CancelledError if it was given up by `give_up`.
        """
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._starts = {crew: loop.create_task(self._start(crew)) for crew in self._crews}
        late = loop.create_task(self._say_late())
        try:
            failures = await asyncio.gather(*self._starts.values(), return_exceptions=True)
        finally:
            late.cancel()
        return list(zip(self._crews, failures, strict=True))

    async def _start(self, crew: Crew) -> None:
        """Log a failure at once: others may take minutes more, and the overall result is only logged then."""
        try:
            await crew.start()
        except Exception as error:
            others = len(self._loading) - 1
            if others > 0 and not self._given_up:
                logger.error("%s%s; %d more still loading", self._says, error, others)
            raise

    def give_up(self) -> bool:
        """Cancel crews that have been loading for too long: `wait` then returns. False if there are none."""
        seconds = self._seconds
        loading = self._loading
        if self._given_up or not loading or seconds < limits.RELOAD_ANEW:
            return False
        self._given_up = True
        logger.warning(
            "%s%s been loading for %.0f s: killing %s and loading the code again",
            self._says,
            _name(loading),
            seconds,
            "it" if len(loading) == 1 else "them",
        )
        for crew in loading:
            self._starts[crew].cancel()
        return True

    @property
    def _seconds(self) -> float:
        return asyncio.get_running_loop().time() - self._began

    @property
    def _loading(self) -> list[Crew]:
        return [crew for crew, start in self._starts.items() if not start.done()]

    async def _say_late(self) -> None:
        await asyncio.sleep(limits.LOADING_SAID)
        loading, seconds = self._loading, self._seconds
        place = await loading[0].find_place() if loading else ""
        if loading := [crew for crew in loading if crew in self._loading]:
            logger.warning(
                "%s%s been loading for %.0f s; %s%s",
                self._says,
                _name(loading),
                seconds,
                describe_place(place),
                "; the old ones keep serving" if self._others_serve() else "",
            )


def _name(crews: list[Crew]) -> str:
    return f"{crews[0]} has" if len(crews) == 1 else f"{crews[0]} and {len(crews) - 1} more have"
