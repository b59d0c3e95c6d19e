"""Two parallel stores that run functions on a session: `Store` blocks, and also writes; `AsyncStore` reads on
an event loop.

What a function returns must be complete: the session is closed after it, and nothing can be loaded later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from waterspout.service.sql.engines import (
    ONLY_READS,
    DatabaseError,
    make_async_engine,
    make_engine,
    reading,
    writing,
)

P = ParamSpec("P")
T = TypeVar("T")


class Store:
    """The blocking store. One instance serves all threads of a process."""

    def __init__(self, url: URL) -> None:
        self.engine = make_engine(url)

    def close(self) -> None:
        self.engine.dispose()

    def read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `read(session, ...)` returns, or raise what it raises. All that it reads is from one
        snapshot.
        """
        with reading(self.engine) as session:
            return read(session, *args, **kwargs)

    def write(self, write: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Commit what `write(session, ...)` does, and return its result; if it raises, nothing is changed."""
        with writing(self.engine) as session:
            return write(session, *args, **kwargs)


class AsyncStore:
    """The reading half of `Store` for an event loop. A handler writes with the blocking one, in a thread:
    `await asyncio.to_thread(store.write, ...)`.
    """

    def __init__(self, url: URL) -> None:
        self.engine = make_async_engine(url, only_reads=True)

    async def close(self) -> None:
        await self.engine.dispose()

    async def read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `read(session, ...)` returns, or raise what it raises; one snapshot, as with `Store`.

        Raises DatabaseError: it writes, or leaves changed rows that nothing would write; or there is no file.
        """
        async with AsyncSession(self.engine) as session:
            return await session.run_sync(_read_only, read, *args, **kwargs)


def _read_only(
    session: Session, read: Callable[Concatenate[Session, P], T], /, *args: P.args, **kwargs: P.kwargs
) -> T:
    found = read(session, *args, **kwargs)
    if session.new or session.deleted or any(session.is_modified(row) for row in session.dirty):
        raise DatabaseError(ONLY_READS)  # not even flushed: the database hasn't seen it
    return found
