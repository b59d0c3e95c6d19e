from datetime import UTC, date, datetime, timedelta

import pytest

from app.store.audit import Actor, note
from app.store.components import add_component, archive_component, rename_component
from app.store.history import HISTORY_DAYS, Condition, read_history, read_statuses, read_version
from app.store.incidents import add_incident, add_update
from app.store.maintenance import add_maintenance, end_maintenance
from app.store.tables import Component, Impact, Maintenance, State

NOON = datetime(2026, 7, 15, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=400)


def make_component(session, name: str, created_at=LONG_AGO) -> int:
    component = add_component(session, name)
    component.created_at = created_at
    return component.id


@pytest.fixture
def web(store) -> int:
    return store.write(make_component, "Web")


@pytest.fixture
def mail(store, web) -> int:
    return store.write(make_component, "Mail")


def post(store, *components: int, impact=Impact.MAJOR, at=NOON, until=None):
    update = store.write(
        add_incident, "Slow", State.IDENTIFIED, "We look.", at, impact=impact, components=components
    )
    if until:
        store.write(add_update, update.incident_id, State.RESOLVED, "Done.", until)
    return update


def maintain(session, component_id: int, starts_at, ends_at, cancelled_at=None):
    maintenance = Maintenance(
        title="Upgrade", text="", starts_at=starts_at, ends_at=ends_at, cancelled_at=cancelled_at
    )
    maintenance.components = [session.get_one(Component, component_id)]
    session.add(maintenance)


def conditions(store, now=NOON) -> list[str]:
    return [status.condition.value for status in store.read(read_statuses, now)]


class TestNow:
    def test_nothing_is_wrong(self, store, mail):
        assert conditions(store) == ["operational", "operational"]

    def test_an_open_incident_is_wrong_with_what_it_concerns(self, store, web, mail):
        post(store, mail)
        assert conditions(store) == ["operational", "major"]

    def test_the_worst_counts(self, store, web):
        post(store, web, impact=Impact.MINOR)
        post(store, web, impact=Impact.CRITICAL)
        post(store, web, impact=Impact.MAJOR)
        assert conditions(store) == ["critical"]

    def test_a_resolved_incident_is_over(self, store, web):
        post(store, web, at=NOON - timedelta(hours=2), until=NOON - timedelta(hours=1))
        assert conditions(store) == ["operational"]

    def test_one_that_comes_back_is_not(self, store, web):
        update = post(store, web, at=NOON - timedelta(hours=2), until=NOON - timedelta(hours=1))
        store.write(add_update, update.incident_id, State.MONITORING, "Not yet.", NOON)
        assert conditions(store) == ["major"]

    def test_maintenance_is_told_by_the_clock(self, store, web):
        store.write(maintain, web, NOON, NOON + timedelta(hours=1))
        seen = [conditions(store, NOON + timedelta(minutes=m))[0] for m in (-1, 0, 59, 60)]
        assert seen == ["operational", "maintenance", "maintenance", "operational"]

    def test_cancelled_maintenance_never_was(self, store, web):
        store.write(maintain, web, NOON, NOON + timedelta(hours=1), cancelled_at=NOON)
        assert conditions(store) == ["operational"]

    def test_archived_components_are_not_shown(self, store, web, mail):
        store.write(archive_component, web, archived=True)
        assert [status.component.name for status in store.read(read_statuses)] == ["Mail"]


class TestDays:
    def days(self, store, component: int = 0) -> dict[date, Condition | None]:
        days = list(store.read(read_history, now=NOON).values())[component]
        assert len(days) == HISTORY_DAYS
        return {day.date: day.condition for day in days}

    def test_ninety_and_today_is_the_last(self, store, web):
        days = self.days(store)
        assert list(days)[-1] == NOON.date()
        assert next(iter(days)) == NOON.date() - timedelta(days=89)
        assert set(days.values()) == {Condition.OPERATIONAL}

    def test_an_incident_touches_each_of_its_days(self, store, web):
        post(store, web, at=NOON - timedelta(days=5), until=NOON - timedelta(days=3))
        wrong = [day for day, condition in self.days(store).items() if condition is Condition.MAJOR]
        assert wrong == [NOON.date() - timedelta(days=n) for n in (5, 4, 3)]

    def test_what_ends_at_midnight_is_no_matter_of_the_next_day(self, store, web):
        midnight = datetime(NOON.year, NOON.month, NOON.day, tzinfo=UTC)
        store.write(maintain, web, midnight - timedelta(hours=2), midnight)
        wrong = [day for day, condition in self.days(store).items() if condition is Condition.MAINTENANCE]
        assert wrong == [NOON.date() - timedelta(days=1)]

    def test_an_open_one_goes_on_until_today(self, store, web):
        post(store, web, at=NOON - timedelta(days=200))
        assert set(self.days(store).values()) == {Condition.MAJOR}

    def test_the_worst_of_a_day_counts(self, store, web):
        store.write(maintain, web, NOON - timedelta(days=1), NOON + timedelta(hours=1))
        post(store, web, impact=Impact.MINOR, at=NOON - timedelta(hours=1), until=NOON)
        days = self.days(store)
        assert days[NOON.date()] is Condition.MINOR
        assert days[NOON.date() - timedelta(days=1)] is Condition.MAINTENANCE

    def test_what_comes_back_was_well_in_between(self, store, web):
        update = post(store, web, at=NOON - timedelta(days=5), until=NOON - timedelta(days=5, hours=-1))
        store.write(add_update, update.incident_id, State.MONITORING, "Back.", NOON - timedelta(days=1))
        assert self.wrong(store) == {5: Condition.MAJOR, 1: Condition.MAJOR, 0: Condition.MAJOR}

    def test_another_impact_counts_from_then_on(self, store, web):
        update = post(store, web, impact=Impact.CRITICAL, at=NOON - timedelta(days=3))
        for days, impact in ((2, Impact.MAJOR), (1, Impact.MINOR)):
            moment = NOON - timedelta(days=days)
            store.write(add_update, update.incident_id, State.MONITORING, "Better.", moment, impact=impact)
        bad = [Condition.CRITICAL, Condition.CRITICAL, Condition.MAJOR, Condition.MINOR]
        assert self.wrong(store) == dict(zip((3, 2, 1, 0), bad, strict=True))

    def test_the_impact_that_it_had_in_the_end_counts(self, store, web):
        """Also one that is given with the end itself; but not one that is given later."""
        moments = (NOON - timedelta(days=days) for days in (4, 3))
        update = post(store, web, impact=Impact.MINOR, at=next(moments))
        for moment in (*moments, NOON):
            store.write(
                *(add_update, update.incident_id, State.RESOLVED, "It was bad.", moment),
                impact=Impact.CRITICAL,
            )
        assert self.wrong(store) == {4: Condition.MINOR, 3: Condition.CRITICAL}

    def wrong(self, store) -> dict[int, Condition | None]:
        """The days on which not all was well: how many days ago, and the condition."""
        days = self.days(store).items()
        return {
            (NOON.date() - day).days: condition
            for day, condition in days
            if condition is not Condition.OPERATIONAL
        }

    def test_what_is_announced_is_no_history(self, store, web):
        store.write(maintain, web, NOON + timedelta(minutes=1), NOON + timedelta(hours=1))
        assert self.days(store)[NOON.date()] is Condition.OPERATIONAL

    def test_nothing_is_known_of_the_time_before_a_component(self, store):
        store.write(make_component, "Young", NOON - timedelta(days=2))
        days = list(self.days(store).values())
        assert days[-4:] == [None, *[Condition.OPERATIONAL] * 3]

    def test_old_incidents_do_not_touch_it(self, store, web):
        post(store, web, at=LONG_AGO, until=LONG_AGO + timedelta(days=1))
        assert set(self.days(store).values()) == {Condition.OPERATIONAL}


class TestVersion:
    def test_it_changes_with_all_that_the_public_sees(self, store, web, mail):
        now = datetime.now(UTC)
        changes = [
            lambda: post(store, web),
            lambda: store.write(add_update, 1, State.RESOLVED, "Done."),
            lambda: store.write(rename_component, web, "Pages", Actor("anna")),
            lambda: store.write(add_maintenance, "Upgrade", "", now, now + timedelta(hours=1)),
            lambda: store.write(end_maintenance, 1),
        ]
        versions = [store.read(read_version)]
        for change in changes:
            change()
            versions.append(store.read(read_version))
        assert len(set(versions)) == len(changes) + 1
        assert store.read(read_version) == versions[-1]

    def test_it_tells_nothing_of_what_the_public_does_not_see(self, store, web):
        """Not even by a gap in the numbers of what it does see."""
        store.write(rename_component, web, "Pages")
        before = store.read(read_version)
        for _ in range(5):
            store.write(note, Actor("anna"), "failed to sign in")
        assert store.read(read_version) == before
        store.write(rename_component, web, "Web")
        update, change, *rest = before.split(".")
        assert store.read(read_version).split(".") == [update, str(int(change) + 1), *rest]

    def test_it_changes_with_the_clock(self, store, web):
        store.write(maintain, web, NOON, NOON + timedelta(hours=1))
        moments = [NOON + timedelta(minutes=m) for m in (-1, 0, 60)] + [NOON + timedelta(days=1)]
        assert len({store.read(read_version, moment) for moment in moments}) == len(moments)
