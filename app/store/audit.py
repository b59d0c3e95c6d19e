"""Who did what: one line in the transaction that did it, so that neither exists without the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.store.tables import NAME_LENGTH, AuditLine

LINES_LISTED = 50


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who changes the board: a name, and the address that the request came from."""

    name: str
    address: str = ""


# Whoever works on the machine itself: the command line, and the examples.
MACHINE = Actor("command line")


def note(session: Session, by: Actor, action: str, subject: str = "") -> AuditLine:
    """Add a line: values that are too long are cut, since no line may be missing."""
    who, address, subject = by.name[:NAME_LENGTH], by.address[:60], subject[:200]
    line = AuditLine(at=datetime.now(UTC), who=who, address=address, action=action, subject=subject)
    session.add(line)
    return line


def note_change(session: Session, by: Actor, action: str, subject: str = "") -> int:
    """Add a line about a change that everybody sees, and return its number."""
    number = read_change(session) + 1
    note(session, by, action, subject).change = number
    return number


def read_change(session: Session) -> int:
    """Return the number of the newest change that everybody sees and that is not an update, or 0."""
    return session.scalars(select(func.coalesce(func.max(AuditLine.change), 0))).one()


def read_audit(session: Session, before: int | None = None) -> Sequence[AuditLine]:
    """Return the newest lines, or the newest of those older than the line `before`: at most LINES_LISTED."""
    lines = select(AuditLine).order_by(AuditLine.id.desc()).limit(LINES_LISTED)
    return session.scalars(lines if before is None else lines.where(AuditLine.id < before)).all()
