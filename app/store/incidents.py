"""Incidents and their updates: read by everybody, written by operators."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from app.store.audit import MACHINE, Actor, note, note_change
from app.store.components import have_changed, read_chosen
from app.store.rows import find
from app.store.tables import UPDATES_LISTED, Attachment, Impact, Incident, State, Update

INCIDENTS_LISTED = 50
CHANGES_LISTED = 20

# After this, the same form with the same content is not a double click or a browser's retry.
REPEATED_WITHIN = timedelta(minutes=10)


class Repeated(Exception):
    """This form was posted a moment ago. Attributes: `update`, the one that it made then."""

    def __init__(self, update: Update) -> None:
        super().__init__("this form was posted a moment ago")
        self.update = update


@dataclass(frozen=True, slots=True)
class Board:
    """What the public sees: incidents, the open ones first, each with its recent updates.

    `open_count` includes the open ones that did not fit in.
    """

    incidents: Sequence[Incident]
    open_count: int


@dataclass(frozen=True, slots=True)
class Changes(Board):
    """What a reader of an older version has missed; not `complete` if there is more than is listed, or the
    components have changed.
    """

    complete: bool


SELECT_INCIDENTS = select(Incident).options(
    selectinload(Incident.recent_updates).selectinload(Update.attachments), selectinload(Incident.components)
)


def read_cursor(session: Session) -> int:
    """Return the newest update's id, or 0."""
    return session.scalars(select(func.coalesce(func.max(Update.id), 0))).one()


def read_open_count(session: Session) -> int:
    return session.scalars(select(func.count()).where(Incident.state != State.RESOLVED)).one()


def read_board(session: Session) -> Board:
    order = (Incident.state == State.RESOLVED, Incident.id.desc())
    incidents = session.scalars(SELECT_INCIDENTS.order_by(*order).limit(INCIDENTS_LISTED)).all()
    return Board(incidents, read_open_count(session))


def read_incident(session: Session, incident_id: int) -> Incident:
    """Return the incident with its `updates` and `components`; raises `Unknown`."""
    updates = selectinload(Incident.updates).selectinload(Update.attachments)
    return find(session, Incident, incident_id, updates, selectinload(Incident.components))


def read_changes(session: Session, since: Sequence[int]) -> Changes:
    """Return what has changed since a version (see `history.read_version`).

    A prefix will do: an update's number alone says nothing about components, which then count as known.
    """
    update, change = (*since, 0, 0)[:2]
    updated = select(Update.incident_id).where(Update.id > update)
    changed = SELECT_INCIDENTS.where(Incident.id.in_(updated) | (Incident.edited_in > change))
    # One more than the limit shows that the list is cut.
    found = session.scalars(changed.order_by(Incident.id.desc()).limit(CHANGES_LISTED + 1)).all()
    cut = len(found) > CHANGES_LISTED or read_left_out(session, update)
    rearranged = len(since) > 1 and have_changed(session, change)
    complete = not (cut or rearranged or have_changed_past(found, since))
    return Changes(found[:CHANGES_LISTED], read_open_count(session), complete)


def have_changed_past(changed: Iterable[Incident], since: Sequence[int]) -> bool:
    """Whether some concern different components now and began before the day of this version: then earlier
    days have changed.
    """
    before = [each for each in changed if each.opened_at.toordinal() < since[3]] if len(since) > 3 else []
    return any(each.edited_in > since[1] for each in before)


def read_left_out(session: Session, since: int) -> bool:
    """Whether an update newer than this one is no longer among the recent ones of its incident."""
    newer = select(Update.id).join(Incident).where(Update.id > since)
    left_out = newer.where(Update.number <= Incident.update_count - UPDATES_LISTED)
    return session.scalars(left_out.limit(1)).first() is not None


def add_incident(
    session: Session,
    title: str,
    state: State,
    text: str,
    posted_at: datetime | None = None,
    *,
    impact: Impact = Impact.MINOR,
    components: Iterable[int] = (),
    files: Iterable[Attachment] = (),
    form: str = "",
    by: Actor = MACHINE,
) -> Update:
    """Add an incident with its first update, which is returned; raises `Refused`, `Repeated`."""
    posted_at = posted_at or datetime.now(UTC)
    incident = Incident(title=title, state=state, impact=impact, opened_at=posted_at, update_count=0)
    incident.components = read_chosen(session, components)
    session.add(incident)
    session.flush()
    note(session, by, "opened incident", title)
    return append_update(session, incident, state, text, posted_at, files, form)


def add_update(
    session: Session,
    incident: int,
    state: State,
    text: str,
    posted_at: datetime | None = None,
    *,
    impact: Impact | None = None,
    files: Iterable[Attachment] = (),
    form: str = "",
    by: Actor = MACHINE,
) -> Update:
    """Add an update to the incident with this id, and return it; raises `Unknown`, `Repeated`.

    Without an `impact`, the incident's stays as it was.
    """
    found = find(session, Incident, incident)
    found.impact = impact or found.impact
    note(session, by, f"posted update: {state.value}", found.title)
    return append_update(session, found, state, text, posted_at or datetime.now(UTC), files, form)


def append_update(
    session: Session,
    incident: Incident,
    state: State,
    text: str,
    posted_at: datetime,
    files: Iterable[Attachment],
    form: str,
) -> Update:
    """Append an update, and set the incident to its state. The session must be a `writing` one."""
    refuse_repeated(session, form)
    incident.state = state
    incident.resolved_at = posted_at if state is State.RESOLVED else None
    incident.update_count += 1
    update = Update(
        incident_id=incident.id,
        number=incident.update_count,
        state=state,
        impact=incident.impact,
        text=text,
        posted_at=posted_at,
        form=form,
    )
    update.attachments = list(files)
    session.add(update)
    session.flush()
    return update


def refuse_repeated(session: Session, form: str) -> None:
    """Raises `Repeated`. Writers queue up: of two concurrent forms, the second finds the first. After another
    update, a repetition is intended.
    """
    recently = Update.posted_at > datetime.now(UTC) - REPEATED_WITHIN
    newest = select(Update).join(Incident).where(Update.number == Incident.update_count)
    posted = session.scalars(newest.where(Update.form == form, recently)).first() if form else None
    if posted:
        session.expunge(posted)  # the transaction ends here
        raise Repeated(posted)


def change_components(
    session: Session, incident_id: int, components: Iterable[int], by: Actor = MACHINE
) -> Incident:
    """Set which components an incident concerns, and return it; raises `Unknown`, `Refused`.

    Archived ones that it already concerned can't be chosen; they stay.
    """
    incident = read_incident(session, incident_id)
    archived = [component for component in incident.components if component.archived_at]
    chosen = read_chosen(session, components)
    if {each.id for each in incident.components} != {each.id for each in (*chosen, *archived)}:
        incident.components = [*chosen, *archived]
        names = ", ".join(component.name for component in incident.components) or "none"
        incident.edited_in = note_change(session, by, "changed components", f"{incident.title}: {names}")
    return incident
