"""The board's data. Knows neither Tornado nor Flask.

`tables` is what is kept; each module beside it asks and changes one part of that, by functions of a session.
Two stores, twins, run them: `Store` blocks, and writes too; `AsyncStore` reads on an event loop. What they
return is complete and detached: nothing is loaded later.
"""

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.database import make_async_engine, make_engine, writing

# The topic on which Flask tells the native side of each change, after its commit: {"update": newest id,
# "version": see `history.read_version`}, and "incident": its id, if it was an update to one.
TOPIC = "incidents"

P = ParamSpec("P")
T = TypeVar("T")


class Unknown(LookupError):
    """Nothing has this number, or name. The text is a sentence for the person who asked."""


class Refused(ValueError):
    """A rule of the board forbids it: a sentence, and the `field` of a form that it is about, if any."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class Store:
    """The blocking store. One serves all threads of a process."""

    def __init__(self, url: URL) -> None:
        self.engine = make_engine(url)

    def close(self) -> None:
        self.engine.dispose()

    def read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a reading function of this package returns, or raise what it raises."""
        with Session(self.engine) as session:
            return read(session, *args, **kwargs)

    def write(self, write: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Commit what a writing function does, and return what it returns; if it raises, nothing was done."""
        with writing(self.engine) as session:
            return write(session, *args, **kwargs)


class AsyncStore:
    """The reading half of `Store` for an event loop."""

    def __init__(self, url: URL) -> None:
        self.engine = make_async_engine(url)

    async def close(self) -> None:
        await self.engine.dispose()

    async def read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a reading function of this package returns, or raise what it raises."""
        async with AsyncSession(self.engine) as session:
            return await session.run_sync(read, *args, **kwargs)
