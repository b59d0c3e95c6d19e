import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from app.store import Refused, Unknown
from app.store.audit import Actor, read_audit
from app.store.operators import (
    GUESSES_EACH_ADDRESS,
    GUESSES_EACH_NAME,
    GUESSES_WITHIN,
    INVITATION_LASTS,
    INVITATIONS_OPEN,
    TooManyGuesses,
    accept_invitation,
    add_invitation,
    add_operator,
    count_guess,
    disable_operator,
    find_invitation,
    find_operator,
    forget_guesses,
    read_operators,
    replace_hash,
    set_password,
)
from app.store.rows import find
from app.store.tables import Guess, Invitation, Operator

ADDRESS = "192.0.2.1"


def test_names_are_unique_whatever_their_case(store):
    store.write(add_operator, "Anna", "a hash")
    store.write(add_operator, "Ömer", "a hash")
    for name in ("Anna", "anna", "ANNA", "Ömer", "ÖMER", "ömer"):
        with pytest.raises(Refused):
            store.write(add_operator, name, "another")
    assert [operator.name for operator in store.read(read_operators)] == ["Anna", "Ömer"]


def test_nobody_is_called_what_the_command_line_is_in_the_audit(store):
    with pytest.raises(Refused):
        store.write(add_operator, "Command line", "a hash")


def test_a_password_is_changed(store):
    operator = store.write(add_operator, "anna", "a hash")
    store.write(set_password, "anna", "another")
    assert store.read(find, Operator, operator.id).password == "another"
    with pytest.raises(Unknown):
        store.write(set_password, "bert", "another")


def test_a_hash_is_replaced_unless_it_was_changed_meanwhile(store):
    operator = store.write(add_operator, "anna", "old")
    store.write(replace_hash, operator.id, "older", "new")
    assert store.read(find_operator, "anna").password == "old"
    store.write(replace_hash, operator.id, "old", "new")
    assert store.read(find_operator, "anna").password == "new"


def test_a_disabled_operator_stays(store):
    store.write(add_operator, "anna", "a hash")
    store.write(disable_operator, "anna")
    assert store.read(find_operator, "anna").disabled_at is not None


def test_an_invitation_that_they_may_have_made_lets_nobody_in_again(store):
    store.write(add_operator, "anna", "a hash")
    token = store.write(add_invitation, Actor("anna", ADDRESS))
    store.write(disable_operator, "anna")
    with pytest.raises(Refused):
        store.read(find_invitation, token)


def test_nobody_disables_themselves(store):
    store.write(add_operator, "anna", "a hash")
    with pytest.raises(Refused):
        store.write(disable_operator, "anna", Actor("anna"))
    assert store.read(find_operator, "anna").disabled_at is None


def test_two_who_disable_each_other_at_once_leave_one(store):
    for name in ("anna", "bert"):
        store.write(add_operator, name, "a hash")
    begun, refused = threading.Barrier(2), []

    def disable(name: str, by: str) -> None:
        begun.wait()
        try:
            store.write(disable_operator, name, Actor(by, ADDRESS))
        except Refused as error:
            refused.append(str(error))

    threads = [threading.Thread(target=disable, args=names) for names in (("anna", "bert"), ("bert", "anna"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["You have been disabled in the meantime."]
    assert [each.disabled_at is None for each in store.read(read_operators)].count(True) == 1


def test_the_command_line_can_disable_all(store):
    for name in ("anna", "bert"):
        store.write(add_operator, name, "a hash")
        store.write(disable_operator, name)
    assert all(each.disabled_at for each in store.read(read_operators))


class TestInvitation:
    def test_it_makes_one_operator(self, store):
        token = store.write(add_invitation)
        store.read(find_invitation, token)
        operator = store.write(accept_invitation, token, "bert", "a hash", Actor("bert", ADDRESS))
        assert store.read(find_operator, "bert").id == operator.id
        with pytest.raises(Refused, match="has been used"):
            store.write(accept_invitation, token, "carl", "a hash", Actor("bert", ADDRESS))

    def test_a_name_that_is_taken_does_not_use_it_up(self, store):
        store.write(add_operator, "anna", "a hash")
        token = store.write(add_invitation)
        with pytest.raises(Refused, match="of this name"):
            store.write(accept_invitation, token, "anna", "a hash", Actor("bert", ADDRESS))
        store.read(find_invitation, token)

    def test_it_is_used_once_by_all_who_try_at_once(self, store):
        token = store.write(add_invitation)
        refused = []

        def accept(n: int) -> None:
            try:
                store.write(accept_invitation, token, f"operator {n}", "a hash", Actor("bert", ADDRESS))
            except Refused as error:
                refused.append(error)

        threads = [threading.Thread(target=accept, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(refused) == 7
        assert len(store.read(read_operators)) == 1

    def test_it_expires(self, store):
        token = store.write(add_invitation)
        past = datetime.now(UTC) - timedelta(seconds=1)
        store.write(lambda session: session.execute(update(Invitation).values(expires_at=past)))
        with pytest.raises(Refused, match="has expired"):
            store.read(find_invitation, token)
        assert timedelta(hours=1) < INVITATION_LASTS < timedelta(days=8)

    @pytest.mark.parametrize("token", ["", "x", "x" * 10_000, "\ud800".encode("utf-8", "replace").decode()])
    def test_another_word_is_none(self, store, token):
        store.write(add_invitation)
        with pytest.raises(Refused):
            store.read(find_invitation, token)

    def test_the_token_is_not_kept(self, store):
        token = store.write(add_invitation)
        kept = store.read(lambda session: session.scalars(Invitation.__table__.select()).all())
        assert token not in str(kept)
        assert all(token not in line.subject for line in store.read(read_audit))

    def test_there_are_only_so_many(self, store):
        for _ in range(INVITATIONS_OPEN):
            store.write(add_invitation)
        with pytest.raises(Refused):
            store.write(add_invitation)


class TestGuesses:
    def test_a_name_has_so_many_from_wherever(self, store):
        for n in range(GUESSES_EACH_NAME):
            store.write(count_guess, "anna", f"192.0.2.{n}")
        with pytest.raises(TooManyGuesses) as refused:
            store.write(count_guess, "ANNA", "198.51.100.1")
        assert 0 < refused.value.retry_after <= GUESSES_WITHIN.total_seconds()
        store.write(count_guess, "bert", "198.51.100.1")

    def test_an_address_has_so_many_for_whomever(self, store):
        for n in range(GUESSES_EACH_ADDRESS):
            store.write(count_guess, f"name {n}", ADDRESS)
        with pytest.raises(TooManyGuesses):
            store.write(count_guess, "anna", ADDRESS)
        store.write(count_guess, "anna", "198.51.100.1")

    def test_a_refused_one_is_not_kept(self, store):
        for _ in range(GUESSES_EACH_NAME * 3):
            with suppress(TooManyGuesses):
                store.write(count_guess, "anna", ADDRESS)
        assert len(store.read(lambda s: s.scalars(Guess.__table__.select()).all())) == GUESSES_EACH_NAME * 2

    def test_they_are_forgotten_in_time(self, store):
        for _ in range(GUESSES_EACH_NAME):
            store.write(count_guess, "anna", ADDRESS)
        past = datetime.now(UTC) - GUESSES_WITHIN
        store.write(lambda session: session.execute(update(Guess).values(made_at=past)))
        store.write(count_guess, "anna", ADDRESS)
        assert len(store.read(lambda s: s.scalars(Guess.__table__.select()).all())) == 2

    def test_those_of_a_clock_that_was_ahead_count_from_now(self, store):
        for _ in range(GUESSES_EACH_NAME):
            store.write(count_guess, "anna", ADDRESS)
        future = datetime.now(UTC) + timedelta(hours=6)
        store.write(lambda session: session.execute(update(Guess).values(made_at=future)))
        store.write(count_guess, "bert", "198.51.100.1")
        with pytest.raises(TooManyGuesses) as refused:
            store.write(count_guess, "anna", ADDRESS)
        assert 0 < refused.value.retry_after <= GUESSES_WITHIN.total_seconds()

    def test_a_right_one_forgets_those_of_the_name(self, store):
        for _ in range(GUESSES_EACH_NAME):
            store.write(count_guess, "anna", ADDRESS)
        store.write(forget_guesses, "anna", ADDRESS)
        store.write(count_guess, "anna", ADDRESS)

    def test_and_one_of_the_address(self, store):
        """Else an attacker with one account of their own would never be stopped."""
        for n in range(GUESSES_EACH_ADDRESS):
            store.write(count_guess, f"name {n}", ADDRESS)
        store.write(forget_guesses, f"name {n}", ADDRESS)
        store.write(count_guess, "anna", ADDRESS)
        with pytest.raises(TooManyGuesses):
            store.write(count_guess, "anna", ADDRESS)
