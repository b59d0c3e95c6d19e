import dataclasses
import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from app.store import Unknown
from app.store.incidents import (
    CHANGES_LISTED,
    INCIDENTS_LISTED,
    REPEATED_WITHIN,
    Board,
    Changes,
    Repeated,
    add_incident,
    add_update,
    read_board,
    read_changes,
    read_cursor,
    read_incident,
)
from app.store.rows import LARGEST_ID
from app.store.tables import UPDATES_LISTED, State, Update
from tests.app.databases import post_incidents
from waterspout.service.sql import AsyncStore, writing


def titles(board: Board) -> list[str]:
    return [incident.title for incident in board.incidents]


def read(store, reader, *args):
    return store.read(reader, *args)


class TestPosting:
    def test_an_incident_begins_with_an_update(self, store):
        update = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
        incident = store.read(read_incident, update.incident_id)
        assert (incident.title, incident.state, incident.update_count) == ("Slow", State.INVESTIGATING, 1)
        assert [(u.id, u.number, u.state, u.text) for u in incident.updates] == [
            (update.id, 1, State.INVESTIGATING, "We look.")
        ]

    def test_an_update_brings_the_incident_to_its_state(self, store):
        first = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
        second = store.write(add_update, first.incident_id, State.RESOLVED, "Done.")
        incident = store.read(read_incident, first.incident_id)
        assert second.id > first.id
        assert incident.state is State.RESOLVED
        assert not incident.open
        assert [update.text for update in incident.updates] == ["Done.", "We look."]

    def test_moments_are_aware_and_now(self, store):
        update = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
        incident = store.read(read_incident, update.incident_id)
        assert incident.opened_at.tzinfo is UTC
        assert abs(datetime.now(UTC) - incident.opened_at) < timedelta(seconds=10)
        assert incident.updates[0].posted_at == incident.opened_at

    def test_moments_of_other_zones_are_kept(self, store):
        noon = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
        with writing(store.engine) as session:
            update = add_incident(session, "Slow", State.INVESTIGATING, "We look.", noon)
        assert store.read(read_incident, update.incident_id).opened_at == noon

    @pytest.mark.parametrize("incident_id", [1, 0, -1, LARGEST_ID, LARGEST_ID + 1, 10**30])
    def test_an_update_to_no_incident_is_refused(self, store, incident_id):
        with pytest.raises(Unknown):
            store.write(add_update, incident_id, State.RESOLVED, "Done.")
        assert store.read(read_cursor) == 0

    def test_an_update_belongs_to_an_incident(self, store):
        with pytest.raises(IntegrityError), writing(store.engine) as session:
            session.add(
                Update(
                    incident_id=7, number=1, state=State.RESOLVED, text="Lost", posted_at=datetime.now(UTC)
                )
            )

    def test_a_form_is_posted_once_by_all_who_send_it_at_once(self, store):
        outcomes = []

        def post():
            try:
                outcomes.append(store.write(add_incident, "Slow", State.INVESTIGATING, "We look.", form="f"))
            except Repeated as error:
                outcomes.append(error.update)

        threads = [threading.Thread(target=post) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {(update.id, update.incident_id) for update in outcomes} == {(1, 1)}
        assert len(outcomes) == 8
        assert titles(store.read(read_board)) == ["Slow"]

    def test_a_form_is_meant_once_more_behind_something_else(self, store):
        incident = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.").incident_id
        done = (incident, State.RESOLVED, "Done.")
        store.write(add_update, *done, form="f")
        with pytest.raises(Repeated):
            store.write(add_update, *done, form="f")
        store.write(add_update, incident, State.INVESTIGATING, "Not quite.")
        assert store.write(add_update, *done, form="f").number == 4

    def test_a_form_may_say_the_same_again_later(self, store):
        long_ago = datetime.now(UTC) - REPEATED_WITHIN
        (incident_id,) = post_incidents(store, 1)
        for moment in (long_ago, None):
            store.write(add_update, incident_id, State.MONITORING, "Still so.", moment, form="f")
        assert store.read(read_cursor) == 3

    def test_many_threads_may_post_at_once(self, store):
        incident_id = store.write(add_incident, "Busy", State.INVESTIGATING, "0").incident_id
        threads = [
            threading.Thread(target=store.write, args=(add_update, incident_id, State.MONITORING, str(n)))
            for n in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        incident = store.read(read_incident, incident_id)
        assert incident.update_count == 21
        assert [update.number for update in incident.updates] == list(range(21, 0, -1))

    def test_an_id_is_never_given_twice(self, store):
        """A cursor that a reader kept must not name another update later."""
        first = store.write(add_incident, "Slow", State.INVESTIGATING, "We look.")
        with writing(store.engine) as session:
            session.execute(text("DELETE FROM incident_update"))
        assert store.write(add_update, first.incident_id, State.RESOLVED, "Done.").id > first.id


class TestBoard:
    def test_it_may_be_empty(self, store):
        assert store.read(read_board) == Board([], 0)

    def test_open_ones_come_first_and_newer_ones_before(self, store):
        first, second, third, _ = post_incidents(store, 4)
        store.write(add_update, first, State.MONITORING, "Better.")
        for incident_id in (third, second):
            store.write(add_update, incident_id, State.RESOLVED, "Done.")
        board = store.read(read_board)
        assert titles(board) == ["Incident 3", "Incident 0", "Incident 2", "Incident 1"]
        assert board.open_count == 2
        assert store.read(read_cursor) == 7

    def test_it_is_bounded(self, store):
        post_incidents(store, INCIDENTS_LISTED + 5)
        board = store.read(read_board)
        assert len(board.incidents) == INCIDENTS_LISTED
        assert board.open_count == INCIDENTS_LISTED + 5

    def test_each_incident_has_its_newest_updates(self, store):
        long, short = post_incidents(store, 2)
        for n in range(UPDATES_LISTED + 3):
            store.write(add_update, long, State.MONITORING, f"More {n}")
        incidents = {incident.id: incident for incident in store.read(read_board).incidents}
        assert len(incidents[long].recent_updates) == UPDATES_LISTED
        assert incidents[long].recent_updates[0].text == f"More {UPDATES_LISTED + 2}"
        assert incidents[long].update_count == UPDATES_LISTED + 4
        assert [update.text for update in incidents[short].recent_updates] == ["Text 1"]

    def test_nothing_is_loaded_later(self, store):
        (incident_id,) = post_incidents(store, 1)
        with pytest.raises(InvalidRequestError):
            _ = store.read(read_incident, incident_id).recent_updates


class TestIncident:
    @pytest.mark.parametrize("incident_id", [0, 2, -5, LARGEST_ID, 2**63, 10**30])
    def test_an_unknown_one_says_so(self, store, incident_id):
        post_incidents(store, 1)
        with pytest.raises(Unknown):
            store.read(read_incident, incident_id)

    def test_it_has_more_updates_than_on_the_board(self, store):
        (incident_id,) = post_incidents(store, 1)
        for n in range(UPDATES_LISTED + 3):
            store.write(add_update, incident_id, State.MONITORING, f"More {n}")
        assert len(store.read(read_incident, incident_id).updates) == UPDATES_LISTED + 4


class TestChanges:
    def test_only_what_is_newer_than_the_cursor(self, store):
        first = post_incidents(store, 3)[0]
        cursor = store.read(read_cursor)
        store.write(add_update, first, State.RESOLVED, "Done.")
        changes = read(store, read_changes, [cursor])
        assert [incident.id for incident in changes.incidents] == [first]
        assert [update.text for update in changes.incidents[0].recent_updates] == ["Done.", "Text 0"]
        assert (changes.open_count, changes.complete) == (2, True)

    def test_nothing_new(self, store):
        post_incidents(store, 2)
        assert read(store, read_changes, [store.read(read_cursor)]) == Changes([], 2, True)

    def test_too_much_is_cut_and_says_so(self, store):
        post_incidents(store, CHANGES_LISTED)
        assert read(store, read_changes, [0]).complete
        post_incidents(store, 1)
        changes = read(store, read_changes, [0])
        assert len(changes.incidents) == CHANGES_LISTED
        assert not changes.complete


class TestAsyncStore:
    @pytest.fixture
    def async_store(self, database_url, io_loop):
        async_store = AsyncStore(database_url)
        yield async_store
        io_loop.run_sync(async_store.close)

    @pytest.mark.gen_test
    async def test_it_reads_what_the_blocking_one_reads(self, store, async_store):
        ids = post_incidents(store, 3)
        store.write(add_update, ids[1], State.RESOLVED, "Done.")
        assert describe(await async_store.read(read_board)) == describe(store.read(read_board))
        assert await async_store.read(read_cursor) == store.read(read_cursor)
        incident = await async_store.read(read_incident, ids[1])
        assert [update.text for update in incident.updates] == ["Done.", "Text 1"]
        assert [incident.id for incident in (await async_store.read(read_changes, [3])).incidents] == [ids[1]]

    @pytest.mark.gen_test
    async def test_an_unknown_incident_says_so(self, async_store):
        with pytest.raises(Unknown):
            await async_store.read(read_incident, 1)


def describe(board: Board) -> dict:
    updates = [[update.id for update in incident.recent_updates] for incident in board.incidents]
    return {**dataclasses.asdict(dataclasses.replace(board, incidents=titles(board))), "updates": updates}
