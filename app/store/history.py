"""How each component is, and how it was on each of the last 90 days: told by incidents and maintenance."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.store.audit import read_change
from app.store.components import read_components
from app.store.incidents import read_cursor
from app.store.tables import (
    Component,
    Incident,
    Maintenance,
    State,
    incident_component,
    maintenance_component,
)

HISTORY_DAYS = 90

# More spans than anybody's board has in 90 days; beyond it the oldest are left out, and a reply stays fast.
SPANS_READ = 5000


class Condition(StrEnum):
    """How a component is, the worst last. The last three are an incident's impact."""

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
    """A component, and how it is now."""

    component: Component
    condition: Condition


@dataclass(frozen=True, slots=True)
class Day:
    """A day (UTC) and the worst condition on it; None: before the component was there."""

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
        """The days from `first` on that it touches: what ends at midnight is no matter of the next."""
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
    spans = [span for span in read_spans(session, now, now) if span.end >= now]
    return [
        ComponentStatus(each, worst(span.condition for span in spans if span.component_id == each.id))
        for each in read_components(session)
    ]


def read_history(
    session: Session, days: int = HISTORY_DAYS, now: datetime | None = None
) -> dict[int, Sequence[Day]]:
    """Return the last days of each component that is shown, by its number: the oldest first, today last."""
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
    """Return the day with its worst condition: none, if nothing is known from before the component's time."""
    known = bool(conditions) or day >= component.created_at.date()
    return Day(day, worst(conditions) if known else None)


def read_spans(session: Session, since: datetime, now: datetime) -> Iterator[Span]:
    """The spans that reach beyond `since`, up to now: of incidents, and of maintenance that took place."""
    concerned = incident_component.c.component_id
    incidents = (
        select(concerned, Incident.impact, Incident.opened_at, Incident.resolved_at)
        .join(Incident)
        .where((Incident.state != State.RESOLVED) | (Incident.resolved_at > since))
        .order_by(Incident.id.desc())
    )
    for component_id, impact, start, end in session.execute(incidents.limit(SPANS_READ)):
        yield Span(component_id, Condition(impact.value), start, end or now)
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
    """Return what changes whenever something that the public sees does: for an ETag.

    Every change by an operator has a number in the audit, or is an update; only the clock begins and ends
    maintenance. Nothing else is counted: everybody could read here when it happens, such as a wrong guess at
    the password of somebody who exists.
    """
    now = now or datetime.now(UTC)
    started = select(func.count()).where(Maintenance.starts_at <= now)
    ended = select(func.count()).where(Maintenance.ends_at <= now)
    clock = session.scalars(started).one() + session.scalars(ended).one()
    return f"{read_cursor(session)}.{read_change(session)}.{clock}.{now:%Y%j}"
