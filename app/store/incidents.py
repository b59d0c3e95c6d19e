"""Incidents and their updates: read by everybody, written by operators."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, selectinload

from app.store.audit import MACHINE, Actor, note
from app.store.components import read_chosen
from app.store.errors import UnknownIncident, check_id
from app.store.tables import Attachment, Impact, Incident, State, Update

INCIDENTS_LISTED = 50
CHANGES_LISTED = 20


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


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that lies in the folder of attachments already."""

    name: str
    media_type: str
    size: int
    sha256: str
    stored_as: str


SELECT_CURSOR = select(func.coalesce(func.max(Update.id), 0))
SELECT_OPEN_COUNT = select(func.count()).where(Incident.state != State.RESOLVED)
SELECT_INCIDENTS = (
    select(Incident)
    .options(
        selectinload(Incident.recent_updates).selectinload(Update.attachments),
        selectinload(Incident.components),
    )
    .order_by(Incident.id.desc())
)
SELECT_BOARD = (
    SELECT_INCIDENTS.order_by(None)
    .order_by(Incident.state == State.RESOLVED, Incident.id.desc())
    .limit(INCIDENTS_LISTED)
)


def select_incident(incident_id: int) -> Select[Incident]:
    return (
        select(Incident)
        .options(
            selectinload(Incident.updates).selectinload(Update.attachments), selectinload(Incident.components)
        )
        .where(Incident.id == incident_id)
    )


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
    """Return the incident with its `updates` and `components`.

    Raises:
        UnknownIncident: there is none with this id.
    """
    check_id(incident_id, UnknownIncident)
    found = session.scalars(select_incident(incident_id)).one_or_none()
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


def read_updates_since(session: Session, since: int, limit: int = CHANGES_LISTED) -> Sequence[Update]:
    """Return the updates after the one with the id `since`, oldest first, at most so many."""
    newer = select(Update).options(selectinload(Update.attachments)).where(Update.id > since)
    return session.scalars(newer.order_by(Update.id).limit(limit)).all()


def add_incident(
    session: Session,
    title: str,
    state: State,
    text: str,
    posted_at: datetime | None = None,
    *,
    impact: Impact = Impact.MINOR,
    components: Iterable[int] = (),
    files: Iterable[StoredFile] = (),
    by: Actor = MACHINE,
) -> Update:
    """Add an incident with its first update, which is returned; raises `UnknownComponent`."""
    posted_at = posted_at or datetime.now(UTC)
    incident = Incident(title=title, state=state, impact=impact, opened_at=posted_at, update_count=0)
    incident.components = read_chosen(session, components)
    session.add(incident)
    session.flush()
    note(session, by, "opened incident", title)
    return append_update(session, incident, state, text, posted_at, files)


def add_update(
    session: Session,
    incident_id: int,
    state: State,
    text: str,
    posted_at: datetime | None = None,
    *,
    impact: Impact | None = None,
    files: Iterable[StoredFile] = (),
    by: Actor = MACHINE,
) -> Update:
    """Add an update, which is returned; raises `UnknownIncident`. Without an impact, it stays as it was."""
    incident = read_incident(session, incident_id)
    incident.impact = impact or incident.impact
    note(session, by, f"posted update: {state.value}", incident.title)
    return append_update(session, incident, state, text, posted_at or datetime.now(UTC), files)


def append_update(
    session: Session,
    incident: Incident,
    state: State,
    text: str,
    posted_at: datetime,
    files: Iterable[StoredFile],
) -> Update:
    """Append an update, and bring the incident to its state. The session must be a `writing` one."""
    incident.state = state
    incident.resolved_at = posted_at if state is State.RESOLVED else None
    incident.update_count += 1
    update = Update(
        incident_id=incident.id, number=incident.update_count, state=state, text=text, posted_at=posted_at
    )
    update.attachments = [Attachment(**asdict(file)) for file in files]
    session.add(update)
    session.flush()
    return update
