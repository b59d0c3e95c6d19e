"""The condition of each component, now and on each of the last 90 days, from incidents and maintenance."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import zip_longest

from sqlalchemy import func, select
from sqlalchemy.orm import Session, load_only

from app.store.audit import read_change
from app.store.components import read_components
from app.store.incidents import read_cursor
from app.store.tables import (
    Component,
    Incident,
    Maintenance,
    State,
    Update,
    incident_component,
    maintenance_component,
)

HISTORY_DAYS = 90

# More updates than any board has in 90 days; beyond that the oldest are left out, so that replies stay fast.
SPANS_READ = 5000


class Condition(StrEnum):
    """The condition of a component, the worst last. The last three are an incident's impact."""

    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        return list(Condition).index(self)


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    """A component, and its condition now."""

    component: Component
    condition: Condition


@dataclass(frozen=True, slots=True)
class Day:
    """A day (UTC) and the worst condition on it; None: before the component existed."""

    date: date
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Span:
    """A time during which a component was in a condition."""

    component_id: int
    condition: Condition
    start: datetime
    end: datetime

    def days_from(self, first: date) -> Iterator[date]:
        """The days from `first` on that it touches: one that ends at midnight does not touch the next day."""
        day = max(first, self.start.date())
        last = max(self.start, self.end - timedelta.resolution).date()
        while day <= last:
            yield day
            day += timedelta(days=1)


def worst(conditions: Iterable[Condition]) -> Condition:
    return max(conditions, key=lambda condition: condition.rank, default=Condition.OPERATIONAL)


def read_statuses(session: Session, now: datetime | None = None) -> Sequence[ComponentStatus]:
    """Return each component that is shown, in order, with its condition now."""
    now = now or datetime.now(UTC)
    concerned = incident_component.c.component_id
    open_now = select(concerned, Incident.impact).join(Incident).where(Incident.state != State.RESOLVED)
    found = [(number, Condition(impact)) for number, impact in session.execute(open_now.limit(SPANS_READ))]
    found += [(span.component_id, span.condition) for span in read_maintained(session, now, now)]
    return [
        ComponentStatus(each, worst(condition for number, condition in found if number == each.id))
        for each in read_components(session)
    ]


def read_history(
    session: Session, days: int = HISTORY_DAYS, now: datetime | None = None
) -> dict[int, Sequence[Day]]:
    """Return the last days of each component that is shown, by its id: the oldest first, today last."""
    now = now or datetime.now(UTC)
    first = now.date() - timedelta(days=days - 1)
    touched: dict[tuple[int, date], list[Condition]] = {}
    for span in read_spans(session, datetime(first.year, first.month, first.day, tzinfo=UTC), now):
        for day in span.days_from(first):
            touched.setdefault((span.component_id, day), []).append(span.condition)
    dates = [first + timedelta(days=n) for n in range(days)]
    return {
        each.id: [judge_day(each, day, touched.get((each.id, day), ())) for day in dates]
        for each in read_components(session)
    }


def judge_day(component: Component, day: date, conditions: Sequence[Condition]) -> Day:
    """Return the day with its worst condition; None before the component's time, if nothing is known."""
    known = bool(conditions) or day >= component.created_at.date()
    return Day(day, worst(conditions) if known else None)


def read_spans(session: Session, since: datetime, now: datetime) -> Iterator[Span]:
    """All spans up to now that end after `since`, and perhaps some earlier ones."""
    yield from read_troubled(session, since, now)
    yield from read_maintained(session, since, now)


def read_troubled(session: Session, since: datetime, now: datetime) -> Iterator[Span]:
    """The spans of incidents, according to their updates: one posted today changes no earlier day. But which
    components an incident concerns is corrected for all of its days.
    """
    recent = (Incident.state != State.RESOLVED) | (Incident.resolved_at > since)
    needed = load_only(Update.incident_id, Update.state, Update.impact, Update.posted_at)
    updates = select(Update).options(needed).join(Incident).where(recent).order_by(Update.id.desc())
    stories: dict[int, list[Update]] = {}
    for update in reversed(session.scalars(updates.limit(SPANS_READ)).all()):
        stories.setdefault(update.incident_id, []).append(update)
    for incident_id, component_id in session.execute(select(incident_component).join(Incident).where(recent)):
        for update, end in follow(stories.get(incident_id, []), now):
            yield Span(component_id, Condition(update.impact), update.posted_at, end)


def follow(story: Sequence[Update], now: datetime) -> Iterator[tuple[Update, datetime]]:
    """The updates of an incident that say how bad it was, the oldest first, and until when each applies: the
    next one, or now. One that resolves it applies to its own moment only; one after that is left out.
    """
    over = False
    for update, following in zip_longest(story, story[1:]):
        resolved = update.state is State.RESOLVED
        if not (resolved and over):
            yield update, update.posted_at if resolved else following.posted_at if following else now
        over = resolved


def read_maintained(session: Session, since: datetime, now: datetime) -> Iterator[Span]:
    """The spans of maintenance that took place."""
    begun = (Maintenance.starts_at <= now) & (Maintenance.ends_at > since)
    maintained = (
        select(maintenance_component.c.component_id, Maintenance.starts_at, Maintenance.ends_at)
        .join(Maintenance)
        .where(begun, Maintenance.cancelled_at.is_(None))
        .order_by(Maintenance.id.desc())
    )
    for component_id, start, end in session.execute(maintained.limit(SPANS_READ)):
        yield Span(component_id, Condition.MAINTENANCE, start, min(end, now))


def read_version(session: Session, now: datetime | None = None) -> str:
    """Return a version that changes whenever something that the public sees does: for an ETag.

    Every change by an operator has a number in the audit, or is an update; only the clock begins and ends
    maintenance. Nothing else is counted: anybody could see here when it happens, such as a wrong guess at an
    existing operator's password.
    """
    now = now or datetime.now(UTC)
    started = select(func.count()).where(Maintenance.starts_at <= now)
    ended = select(func.count()).where(Maintenance.ends_at <= now)
    clock = session.scalars(started).one() + session.scalars(ended).one()
    return f"{read_cursor(session)}.{read_change(session)}.{clock}.{now.toordinal()}"
