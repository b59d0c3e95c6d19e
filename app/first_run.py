"""What each start does first: bring the tables up to date. And what the example's first start adds.

Harmless when repeated, and when several processes do it at once: all of it is one writing transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import DatabaseError, make_engine, prepare_sqlite_file, writing
from app.keys import derive_password
from app.passwords import hash_password
from app.schema import upgrade_tables
from app.settings import Settings
from app.store import Impact, Incident, State
from app.store.audit import Actor
from app.store.components import add_component
from app.store.incidents import add_incident, add_update
from app.store.maintenance import add_maintenance
from app.store.operators import add_operator, read_operators

EXAMPLE_OPERATOR = "operator"
EXAMPLE_ACTOR = Actor("example")

COMPONENTS = ("Website", "API", "File storage", "E-mail", "Billing")
COMPONENTS_ADDED = timedelta(days=120)

MAINTENANCE = (
    "Billing moves to new machines",
    "Invoices can be read all the time. New ones are created as soon as the move is done.",
    timedelta(days=2, hours=5),
    timedelta(hours=2),
)


@dataclass(frozen=True, slots=True)
class Example:
    """An incident that began `ago`; each later update is so many minutes after its beginning."""

    title: str
    component: str
    impact: Impact
    ago: timedelta
    updates: Sequence[tuple[int, State, str]]


# Oldest first, as they would have been posted.
EXAMPLES = (
    Example(
        "Scheduled database upgrade took longer than announced",
        "Billing",
        Impact.MINOR,
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
        "E-mail",
        Impact.MAJOR,
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
        "File storage",
        Impact.MINOR,
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


def prepare_database(settings: Settings) -> None:
    """Make or upgrade the tables; in the example's database, also what there is to see and who may sign in.

    Raises:
        DatabaseError: the database can't be reached or used.
    """
    url = settings.database_url
    if url.get_backend_name() == "sqlite":
        prepare_sqlite_file(Path(url.database or ""))
    engine = make_engine(url)
    try:
        with writing(engine) as session:
            prepare_tables(session, settings)
    except SQLAlchemyError as error:
        place = url.render_as_string(hide_password=True)
        raise DatabaseError(f"the database {place} can't be used: {getattr(error, 'orig', error)}") from error
    finally:
        engine.dispose()


def prepare_tables(session: Session, settings: Settings) -> None:
    """Do all of it in this transaction. A database that somebody named is their own, and gets no examples."""
    connection = session.connection()
    new = not inspect(connection).has_table(Incident.__tablename__)
    upgrade_tables(connection)
    if new and settings.example:
        add_examples(session, datetime.now(UTC))
    if settings.example and not read_operators(session):
        password = derive_password(settings.secret_key, EXAMPLE_OPERATOR)
        add_operator(session, EXAMPLE_OPERATOR, hash_password(password), EXAMPLE_ACTOR)


def add_examples(session: Session, now: datetime) -> None:
    """Add the examples as if they had happened shortly before `now`."""
    components = {name: add_component(session, name, EXAMPLE_ACTOR) for name in COMPONENTS}
    for component in components.values():
        component.created_at = now - COMPONENTS_ADDED
    for example in EXAMPLES:
        add_example(session, example, components[example.component].id, now)
    title, text, ahead, lasts = MAINTENANCE
    add_maintenance(
        session,
        title,
        text,
        now + ahead,
        now + ahead + lasts,
        components=[components["Billing"].id],
        by=EXAMPLE_ACTOR,
    )


def add_example(session: Session, example: Example, component: int, now: datetime) -> None:
    opened_at = now - example.ago
    (_, state, text), *later = example.updates
    first = add_incident(
        session,
        example.title,
        state,
        text,
        opened_at,
        impact=example.impact,
        components=[component],
        by=EXAMPLE_ACTOR,
    )
    for minutes, state, text in later:
        moment = opened_at + timedelta(minutes=minutes)
        add_update(session, first.incident_id, state, text, moment, by=EXAMPLE_ACTOR)
