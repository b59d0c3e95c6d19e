"""Planned maintenance: announced, and perhaps cancelled or ended early."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, selectinload

from app.store import Refused
from app.store.audit import MACHINE, Actor, note_change
from app.store.components import read_chosen
from app.store.rows import find
from app.store.tables import Maintenance, Phase

MAINTENANCE_LISTED = 50
LONGEST_MAINTENANCE = timedelta(days=31)

SELECT_MAINTENANCE: Select[Maintenance] = select(Maintenance).options(selectinload(Maintenance.components))


def read_maintenance(session: Session, now: datetime | None = None) -> Sequence[Maintenance]:
    """Return maintenance that is running or scheduled, the next first."""
    now = now or datetime.now(UTC)
    ahead = SELECT_MAINTENANCE.where(Maintenance.ends_at > now, Maintenance.cancelled_at.is_(None))
    return session.scalars(
        ahead.order_by(Maintenance.starts_at, Maintenance.id).limit(MAINTENANCE_LISTED)
    ).all()


def read_past_maintenance(session: Session, now: datetime | None = None) -> Sequence[Maintenance]:
    """Return maintenance that is over or was cancelled, the latest first."""
    now = now or datetime.now(UTC)
    past = SELECT_MAINTENANCE.where((Maintenance.ends_at <= now) | Maintenance.cancelled_at.is_not(None))
    return session.scalars(past.order_by(Maintenance.starts_at.desc()).limit(MAINTENANCE_LISTED)).all()


def add_maintenance(
    session: Session,
    title: str,
    text: str,
    starts_at: datetime,
    ends_at: datetime,
    *,
    components: Iterable[int] = (),
    by: Actor = MACHINE,
) -> Maintenance:
    """Announce maintenance; raises `Refused`. A duplicate, as from a double click, returns the first one."""
    if not timedelta(0) < ends_at - starts_at <= LONGEST_MAINTENANCE:
        raise Refused(
            f"The end must be after the start, by {LONGEST_MAINTENANCE.days} days at most.", "ends_at"
        )
    if ends_at <= datetime.now(UTC):
        raise Refused("The end is in the past.", "ends_at")
    said = {"title": title, "text": text, "starts_at": starts_at, "ends_at": ends_at}
    chosen = read_chosen(session, components)
    for same in session.scalars(SELECT_MAINTENANCE.filter_by(**said, cancelled_at=None)):
        if same.components == chosen:
            return same
    maintenance = Maintenance(**said, components=chosen)
    session.add(maintenance)
    session.flush()
    note_change(session, by, "planned maintenance", title)
    return maintenance


def end_maintenance(session: Session, maintenance_id: int, by: Actor = MACHINE) -> Maintenance:
    """Cancel it, or end it now if it has begun; raises `Unknown`, `Refused`."""
    maintenance, now = find(session, Maintenance, maintenance_id), datetime.now(UTC)
    if maintenance.phase is Phase.SCHEDULED:
        maintenance.cancelled_at = now
        note_change(session, by, "cancelled maintenance", maintenance.title)
    elif maintenance.phase is Phase.RUNNING:
        maintenance.ends_at = now
        note_change(session, by, "ended maintenance", maintenance.title)
    else:
        raise Refused("This maintenance is over already.")
    return maintenance
