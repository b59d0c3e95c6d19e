"""Rows by their id, as it appears in a URL."""

from typing import TypeVar

from sqlalchemy.orm import Session
from sqlalchemy.orm.interfaces import ORMOption

from app.store import Unknown
from app.store.tables import Base

# PostgreSQL's INTEGER ends here; the database could not even be asked for a larger number.
LARGEST_ID = 2**31 - 1

Row = TypeVar("Row", bound=Base)


def find(session: Session, kind: type[Row], number: int, *options: ORMOption) -> Row:
    """Return the row of the table with this id; raises `Unknown`."""
    found = session.get(kind, number, options=options) if 0 < number <= LARGEST_ID else None
    if found is None:
        raise Unknown(f"There is no such {kind.__name__.lower()}.")
    return found
