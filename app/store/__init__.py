"""The board's data. Knows neither Tornado nor Flask.

`tables` is what is kept; each module beside it asks and changes one part of that, by functions of a session.
Two stores, twins, run them: `Store` blocks, and writes too; `AsyncStore` reads on an event loop. What they
return is complete and detached: nothing is loaded later.
"""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app.database import make_async_engine, make_engine, writing
from app.store.components import COMPONENTS_AT_MOST
from app.store.errors import LARGEST_ID, Refused, Unknown, UnknownIncident
from app.store.history import (
    HISTORY_DAYS,
    ComponentHistory,
    ComponentStatus,
    Condition,
    Day,
    read_history,
    read_statuses,
    read_version,
)
from app.store.incidents import (
    CHANGES_LISTED,
    INCIDENTS_LISTED,
    Board,
    Changes,
    add_incident,
    add_update,
    read_board,
    read_changes,
    read_cursor,
    read_incident,
    read_updates_since,
)
from app.store.maintenance import read_maintenance
from app.store.tables import (
    NAME_LENGTH,
    TEXT_LENGTH,
    TITLE_LENGTH,
    UPDATES_LISTED,
    UPDATES_SHOWN,
    Attachment,
    Base,
    Component,
    Impact,
    Incident,
    Maintenance,
    Phase,
    State,
    Update,
)

__all__ = [
    "CHANGES_LISTED",
    "COMPONENTS_AT_MOST",
    "HISTORY_DAYS",
    "INCIDENTS_LISTED",
    "LARGEST_ID",
    "NAME_LENGTH",
    "TEXT_LENGTH",
    "TITLE_LENGTH",
    "TOPIC",
    "UPDATES_LISTED",
    "UPDATES_SHOWN",
    "AsyncStore",
    "Attachment",
    "Base",
    "Board",
    "Changes",
    "Component",
    "ComponentHistory",
    "ComponentStatus",
    "Condition",
    "Day",
    "Impact",
    "Incident",
    "Maintenance",
    "Phase",
    "Refused",
    "State",
    "Store",
    "Unknown",
    "UnknownIncident",
    "Update",
]

# The topic on which Flask tells the native side of each change, after its commit: {"update": newest id,
# "version": see `AsyncStore.version`}, and "incident": its id, if it was an update to one.
TOPIC = "incidents"

P = ParamSpec("P")
T = TypeVar("T")


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

    def board(self) -> Board:
        return self.read(read_board)

    def cursor(self) -> int:
        """Return the newest update's id, or 0."""
        return self.read(read_cursor)

    def incident(self, incident_id: int) -> Incident:
        """Return the incident with its `updates`; raises `UnknownIncident`."""
        return self.read(read_incident, incident_id)

    def post_incident(self, title: str, state: State, text: str) -> Update:
        """Commit a new incident with its first update, which is returned."""
        return self.write(add_incident, title, state, text)

    def post_update(self, incident_id: int, state: State, text: str) -> Update:
        """Commit an update, which is returned; raises `UnknownIncident`."""
        return self.write(add_update, incident_id, state, text)


class AsyncStore:
    """The reading half of `Store` for an event loop: what the public sees."""

    def __init__(self, url: URL) -> None:
        self.engine = make_async_engine(url)

    async def close(self) -> None:
        await self.engine.dispose()

    async def board(self) -> Board:
        return await self.read(read_board)

    async def incident(self, incident_id: int) -> Incident:
        """Return the incident with its `updates`; raises `UnknownIncident`."""
        return await self.read(read_incident, incident_id)

    async def cursor(self) -> int:
        """Return the newest update's id, or 0."""
        return await self.read(read_cursor)

    async def changes(self, since: int) -> Changes:
        """Return what was posted after the update with the id `since`."""
        return await self.read(read_changes, since)

    async def updates_since(self, since: int) -> Sequence[Update]:
        """Return the updates after that id, oldest first, at most CHANGES_LISTED."""
        return await self.read(read_updates_since, since)

    async def components(self) -> Sequence[ComponentStatus]:
        """Return the components that are shown, in order, each with its condition now."""
        return await self.read(read_statuses)

    async def history(self, days: int = HISTORY_DAYS) -> Sequence[ComponentHistory]:
        """Return the components that are shown, in order, each with its last days, today last."""
        return await self.read(read_history, days)

    async def maintenance(self) -> Sequence[Maintenance]:
        """Return what is being maintained and what will be, the next first."""
        return await self.read(read_maintenance)

    async def version(self) -> str:
        """Return a word that changes whenever something that the public sees does: for an ETag."""
        return await self.read(read_version)

    async def read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a reading function of this package returns, or raise what it raises."""
        async with AsyncSession(self.engine) as session:
            return await session.run_sync(read, *args, **kwargs)
