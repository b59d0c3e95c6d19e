"""The board's data: incidents, and the updates to them.

Knows neither Tornado nor Flask. Two stores, twins: `Store` blocks, and writes too; `AsyncStore` reads on an
event loop. Both run the same statements. What they return is complete and detached: nothing is loaded later.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

from sqlalchemy import (
    URL,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Select,
    String,
    UniqueConstraint,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Relationship,
    Session,
    mapped_column,
    relationship,
    selectinload,
)
from sqlalchemy.types import TypeDecorator

from app.database import make_async_engine, make_engine, writing

# The topic on which Flask tells the native side of each update: {"incident": id, "update": id}.
TOPIC = "incidents"

TITLE_LENGTH = 120
TEXT_LENGTH = 2000

# What a page or a reply holds at most, so that neither grows with the board's age.
INCIDENTS_LISTED = 50
UPDATES_LISTED = 10
UPDATES_SHOWN = 500
CHANGES_LISTED = 20

# PostgreSQL's INTEGER ends here; a larger number in a URL names nothing.
LARGEST_ID = 2**31 - 1

P = ParamSpec("P")
T = TypeVar("T")


class State(StrEnum):
    """How far an incident is, in the order of its life."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class UnknownIncident(LookupError):
    """No incident has this id."""


class Moment(TypeDecorator[datetime]):
    """An aware `datetime`, in UTC in the database: SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


STATE = Enum(
    State, native_enum=False, length=16, values_callable=lambda states: [state.value for state in states]
)


class Base(DeclarativeBase):
    """The tables of the board."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: Moment, State: STATE}


def newest_updates(limit: int) -> Relationship[list["Update"]]:
    """The relationship of an incident to its newest updates, newest first."""
    return relationship(
        primaryjoin="and_(Update.incident_id == Incident.id, "
        f"Update.number > Incident.update_count - {limit})",
        order_by="Update.id.desc()",
        lazy="raise",
        viewonly=True,
    )


class Incident(Base):
    """Something that went wrong. `state` and `update_count` are the newest update's state and number."""

    __tablename__ = "incident"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    state: Mapped[State] = mapped_column(index=True)
    opened_at: Mapped[datetime]
    update_count: Mapped[int]

    recent_updates: Mapped[list["Update"]] = newest_updates(UPDATES_LISTED)
    updates: Mapped[list["Update"]] = newest_updates(UPDATES_SHOWN)

    @property
    def open(self) -> bool:
        return self.state is not State.RESOLVED


class Update(Base):
    """What was said about an incident, and the state it was in from then on.

    Ids grow in the order in which updates become visible, since writers queue up (`database.Backend`): the
    newest id that a reader has seen tells which updates it has not.
    """

    __tablename__ = "incident_update"
    __table_args__ = (UniqueConstraint("incident_id", "number"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    number: Mapped[int]
    state: Mapped[State]
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    posted_at: Mapped[datetime]


@dataclass(frozen=True, slots=True)
class Board:
    """What the public sees: incidents, the open ones first, each with its recent updates.

    `open_count` counts the open ones that did not fit in, too; `cursor` is the newest update's id, or 0.
    """

    incidents: Sequence[Incident]
    open_count: int
    cursor: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What a reader at an older cursor has missed, up to `cursor`; not `complete` if it can't be listed."""

    incidents: Sequence[Incident]
    open_count: int
    cursor: int
    complete: bool


SELECT_CURSOR = select(func.coalesce(func.max(Update.id), 0))
SELECT_OPEN_COUNT = select(func.count()).where(Incident.state != State.RESOLVED)
SELECT_INCIDENTS = (
    select(Incident).options(selectinload(Incident.recent_updates)).order_by(Incident.id.desc())
)
SELECT_BOARD = (
    SELECT_INCIDENTS.order_by(None)
    .order_by(Incident.state == State.RESOLVED, Incident.id.desc())
    .limit(INCIDENTS_LISTED)
)


def select_incident(incident_id: int) -> Select[Incident]:
    return select(Incident).options(selectinload(Incident.updates)).where(Incident.id == incident_id)


def select_changed(cursor: int) -> Select[Incident]:
    """The incidents with updates newer than the cursor: one too many tells that the list is cut."""
    changed = select(Update.incident_id).where(Update.id > cursor)
    return SELECT_INCIDENTS.where(Incident.id.in_(changed)).limit(CHANGES_LISTED + 1)


# The readers below take the cursor first: where each statement sees its own moment (PostgreSQL), what follows
# may be newer than the cursor, which is harmless, and never older, which would lose an update.


def read_cursor(session: Session) -> int:
    return session.scalars(SELECT_CURSOR).one()


def read_board(session: Session) -> Board:
    cursor = read_cursor(session)
    return Board(session.scalars(SELECT_BOARD).all(), session.scalars(SELECT_OPEN_COUNT).one(), cursor)


def read_incident(session: Session, incident_id: int) -> Incident:
    """Return the incident with its `updates`.

    Raises:
        UnknownIncident: there is none with this id.
    """
    found = (
        session.scalars(select_incident(incident_id)).one_or_none() if 0 < incident_id <= LARGEST_ID else None
    )
    if found is None:
        raise UnknownIncident(incident_id)
    return found


def read_changes(session: Session, since: int) -> Changes:
    cursor = read_cursor(session)
    changed = session.scalars(select_changed(since)).all()
    return Changes(
        changed[:CHANGES_LISTED],
        session.scalars(SELECT_OPEN_COUNT).one(),
        cursor,
        complete=len(changed) <= CHANGES_LISTED,
    )


def add_incident(session: Session, title: str, state: State, text: str, posted_at: datetime) -> Update:
    """Add an incident with its first update, which is returned."""
    incident = Incident(title=title, state=state, opened_at=posted_at, update_count=0)
    session.add(incident)
    session.flush()
    return add_update(session, incident, state, text, posted_at)


def add_update(session: Session, incident: Incident, state: State, text: str, posted_at: datetime) -> Update:
    """Add an update, bring the incident to its state, and return it. The session must be a `writing` one."""
    incident.state = state
    incident.update_count += 1
    update = Update(
        incident_id=incident.id, number=incident.update_count, state=state, text=text, posted_at=posted_at
    )
    session.add(update)
    session.flush()
    return update


class Store:
    """The blocking store. One serves all threads of a process."""

    def __init__(self, url: URL) -> None:
        self.engine = make_engine(url)

    def close(self) -> None:
        self.engine.dispose()

    def board(self) -> Board:
        with Session(self.engine) as session:
            return read_board(session)

    def cursor(self) -> int:
        """Return the newest update's id, or 0."""
        with Session(self.engine) as session:
            return read_cursor(session)

    def incident(self, incident_id: int) -> Incident:
        """Return the incident with its `updates`; raises `UnknownIncident`."""
        with Session(self.engine) as session:
            return read_incident(session, incident_id)

    def post_incident(self, title: str, state: State, text: str) -> Update:
        """Commit a new incident with its first update, which is returned."""
        with writing(self.engine) as session:
            return add_incident(session, title, state, text, datetime.now(UTC))

    def post_update(self, incident_id: int, state: State, text: str) -> Update:
        """Commit an update, which is returned; raises `UnknownIncident`."""
        with writing(self.engine) as session:
            return add_update(session, read_incident(session, incident_id), state, text, datetime.now(UTC))


class AsyncStore:
    """The reading half of `Store` for an event loop."""

    def __init__(self, url: URL) -> None:
        self.engine = make_async_engine(url)

    async def close(self) -> None:
        await self.engine.dispose()

    async def board(self) -> Board:
        return await self._read(read_board)

    async def incident(self, incident_id: int) -> Incident:
        """Return the incident with its `updates`; raises `UnknownIncident`."""
        return await self._read(read_incident, incident_id)

    async def cursor(self) -> int:
        """Return the newest update's id, or 0."""
        return await self._read(read_cursor)

    async def changes(self, since: int) -> Changes:
        """Return what was posted after the update with the id `since`."""
        return await self._read(read_changes, since)

    async def _read(self, read: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        async with AsyncSession(self.engine) as session:
            return await session.run_sync(read, *args, **kwargs)
