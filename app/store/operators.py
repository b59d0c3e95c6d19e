"""Operators, invitations, and guesses at passwords. How passwords are hashed is not known here."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from app.store import Refused, Unknown
from app.store.audit import MACHINE, Actor, note
from app.store.names import check_name
from app.store.tables import Guess, Invitation, Operator

INVITATION_LASTS = timedelta(days=3)
INVITATIONS_OPEN = 100

# Guesses are counted in the database, since several processes take them, and a restart must not reset them.
# Ten wrong ones are more than a person needs; at ten in a quarter of an hour a word list takes forever.
GUESSES_EACH_NAME = 10
# An office shares an address.
GUESSES_EACH_ADDRESS = 30
GUESSES_WITHIN = timedelta(minutes=15)


class TooManyGuesses(Exception):
    """Attributes: `retry_after` (int), the seconds until the next guess is counted."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many guesses; the next in {retry_after} s")
        self.retry_after = retry_after


def read_operators(session: Session) -> Sequence[Operator]:
    return session.scalars(select(Operator).order_by(Operator.name)).all()


def find_operator(session: Session, name: str) -> Operator:
    """Return the operator with this name, disabled or not; raises `Unknown`."""
    found = session.scalars(select(Operator).where(Operator.name == name)).one_or_none()
    if found is None:
        raise Unknown(f"There is no operator {name}.")
    return found


def add_operator(session: Session, name: str, password_hash: str, by: Actor = MACHINE) -> Operator:
    """Add an operator; raises `Refused`. Names must differ in more than case."""
    name = check_name(name)
    # Compared here: SQLite only knows the case of ASCII. MACHINE's name is kept for the command line.
    taken = {each.casefold() for each in session.scalars(select(Operator.name))} | {MACHINE.name}
    if name.casefold() in taken:
        raise Refused("There is an operator of this name already.", "name")
    operator = Operator(name=name, password=password_hash, created_at=datetime.now(UTC))
    session.add(operator)
    session.flush()
    note(session, by, "added operator", name)
    return operator


def set_password(session: Session, name: str, password_hash: str, by: Actor = MACHINE) -> None:
    """Give the operator a new password, which ends their sessions; raises `Unknown`."""
    find_operator(session, name).password = password_hash
    note(session, by, "changed password", name)


def end_sessions(session: Session, by: Actor) -> None:
    """End all sessions of the operator who signs out; raises `Unknown`."""
    operator = find_operator(session, by.name)
    operator.sign_outs += 1
    note(session, by, "signed out")


def disable_operator(session: Session, name: str, by: Actor = MACHINE) -> None:
    """Keep the operator out from now on, and all holders of invitations, which the operator may have made.
    Raises `Unknown`, and `Refused` if `by` is the operator, or is disabled already: two who disable each
    other at once would leave nobody.
    """
    operator = find_operator(session, name)
    if name == by.name:
        raise Refused("You can't disable yourself: ask another operator.")
    disabled = select(Operator.id).where(Operator.name == by.name, Operator.disabled_at.is_not(None))
    if session.scalars(disabled).first() is not None:
        raise Refused("You have been disabled in the meantime.")
    operator.disabled_at = operator.disabled_at or datetime.now(UTC)
    session.execute(delete(Invitation).where(Invitation.used_at.is_(None)))
    note(session, by, "disabled operator", name)


def hash_token(token: str) -> str:
    """Hash a token. It is long and random, so no slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def add_invitation(session: Session, by: Actor = MACHINE) -> str:
    """Create an invitation and return its token, which the database does not keep; raises `Refused`."""
    now = datetime.now(UTC)
    session.execute(delete(Invitation).where(Invitation.expires_at <= now))
    if session.scalars(select(func.count()).select_from(Invitation)).one() >= INVITATIONS_OPEN:
        raise Refused(f"There are {INVITATIONS_OPEN} invitations already. Wait until some have expired.")
    token = secrets.token_urlsafe(32)
    session.add(Invitation(token_hash=hash_token(token), created_at=now, expires_at=now + INVITATION_LASTS))
    note(session, by, "invited an operator")
    return token


def find_invitation(session: Session, token: str) -> Invitation:
    """Return an invitation that can still be used; raises `Refused`."""
    usable = select(Invitation).where(
        Invitation.token_hash == hash_token(token),
        Invitation.used_at.is_(None),
        Invitation.expires_at > datetime.now(UTC),
    )
    found = session.scalars(usable).one_or_none()
    if found is None:
        raise Refused("This invitation has been used, or has expired. Ask for another one.")
    return found


def accept_invitation(session: Session, token: str, name: str, password_hash: str, by: Actor) -> Operator:
    """Use up an invitation for a new operator, which is returned; raises `Refused`."""
    find_invitation(session, token).used_at = datetime.now(UTC)
    return add_operator(session, name, password_hash, by)


def count_guess(session: Session, name: str, address: str) -> None:
    """Count a guess before it is tried; raises TooManyGuesses: it is not counted, and must not be tried."""
    now = datetime.now(UTC)
    session.execute(delete(Guess).where(Guess.made_at <= now - GUESSES_WITHIN))
    # From a clock that was ahead: neither forgiven, nor counted for longer than others.
    session.execute(update(Guess).where(Guess.made_at > now).values(made_at=now))
    for counted_by, limit in guess_limits(name, address).items():
        made = select(Guess.made_at).where(Guess.counted_by == counted_by).order_by(Guess.made_at.desc())
        oldest_that_counts = session.scalars(made.offset(limit - 1).limit(1)).first()
        if oldest_that_counts:
            wait = oldest_that_counts + GUESSES_WITHIN - now
            raise TooManyGuesses(max(1, round(wait.total_seconds())))
    session.add_all(Guess(counted_by=counted_by, made_at=now) for counted_by in guess_limits(name, address))


def forget_guesses(session: Session, name: str, address: str) -> None:
    """The guess counted last was right: forget all of the account's, and one of the address's."""
    by_name, by_address = guess_limits(name, address)
    session.execute(delete(Guess).where(Guess.counted_by == by_name))
    newest = select(func.max(Guess.id)).where(Guess.counted_by == by_address).scalar_subquery()
    session.execute(delete(Guess).where(Guess.id == newest))


def guess_limits(name: str, address: str) -> dict[str, int]:
    """The keys that a guess is counted by, each with its limit."""
    named = hashlib.sha256(name.lower().encode()).hexdigest()  # of any length, perhaps a mistyped password
    return {f"name {named}": GUESSES_EACH_NAME, f"address {address}"[:150]: GUESSES_EACH_ADDRESS}


def replace_hash(session: Session, operator_id: int, old: str, new: str) -> None:
    """Store the same password hashed with newer parameters, unless it was changed meanwhile."""
    session.execute(
        update(Operator).where(Operator.id == operator_id, Operator.password == old).values(password=new)
    )
