"""What the first start does: make the tables and, in a new SQLite file, a few example incidents.

Harmless when repeated, and when several processes do it at once: all of it is one writing transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import URL, Engine, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import DatabaseError, make_engine, prepare_sqlite_file, writing
from app.schema import upgrade_tables
from app.store import Incident, State
from app.store.incidents import add_incident, add_update


@dataclass(frozen=True, slots=True)
class Example:
    """An incident that began `ago`; each later update is so many minutes after its beginning."""

    title: str
    ago: timedelta
    updates: Sequence[tuple[int, State, str]]


# Oldest first, as they would have been posted.
EXAMPLES = (
    Example(
        "Scheduled database upgrade took longer than announced",
        timedelta(days=12, hours=3),
        (
            (
                0,
                State.MONITORING,
                "The upgrade of the billing database needs about 20 minutes more than announced. "
                "Invoices can be read; new ones are created as soon as it is done.",
            ),
            (31, State.RESOLVED, "The upgrade is complete and all waiting invoices have been created."),
        ),
    ),
    Example(
        "Delayed e-mail notifications",
        timedelta(days=3, hours=7, minutes=20),
        (
            (
                0,
                State.INVESTIGATING,
                "Notifications by e-mail arrive up to 25 minutes late. Nothing is lost. "
                "Notifications in the app are not affected.",
            ),
            (
                18,
                State.IDENTIFIED,
                "One of our two mail relays refuses connections. We took it out of use.",
            ),
            (44, State.MONITORING, "New e-mails go out at once. The queue is down to 1,200 and shrinking."),
            (75, State.RESOLVED, "The queue is empty and every delayed e-mail has been delivered."),
        ),
    ),
    Example(
        "Slow file downloads in Europe",
        timedelta(hours=1, minutes=35),
        (
            (
                0,
                State.INVESTIGATING,
                "Downloads from our European region are two to five times slower than usual.",
            ),
            (
                22,
                State.IDENTIFIED,
                "A network provider in Frankfurt is losing packets. We are moving traffic to another one.\n"
                "Uploads, sign-in and all other regions work normally.",
            ),
            (
                58,
                State.MONITORING,
                "Nine tenths of the traffic has moved and download times are back to normal there. "
                "We keep watching until the rest has followed.",
            ),
        ),
    ),
)


def prepare_database(url: URL) -> None:
    """Make the tables, and in SQLite the examples, where there are no tables yet.

    Raises:
        DatabaseError: the database can't be reached or used.
    """
    if url.get_backend_name() == "sqlite":
        prepare_sqlite_file(Path(url.database or ""))
    engine = make_engine(url)
    try:
        make_tables(engine)
    except SQLAlchemyError as error:
        place = url.render_as_string(hide_password=True)
        raise DatabaseError(f"the database {place} can't be used: {getattr(error, 'orig', error)}") from error
    finally:
        engine.dispose()


def make_tables(engine: Engine) -> None:
    """Make or upgrade the tables. A PostgreSQL database is somebody's own, and gets no examples."""
    with writing(engine) as session:
        connection = session.connection()
        new = not inspect(connection).has_table(Incident.__tablename__)
        upgrade_tables(connection)
        if new and connection.dialect.name == "sqlite":
            add_examples(session, datetime.now(UTC))


def add_examples(session: Session, now: datetime) -> None:
    """Add the examples as if they had happened shortly before `now`."""
    for example in EXAMPLES:
        opened_at = now - example.ago
        (_, state, text), *later = example.updates
        first = add_incident(session, example.title, state, text, opened_at)
        for minutes, state, text in later:
            add_update(session, first.incident_id, state, text, opened_at + timedelta(minutes=minutes))
