"""What each start does first: bring the tables up to date. Also what the example's first start adds.

May be repeated, and several processes may do it at once: all of it is one writing transaction.
"""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from app.passwords import derive_password, hash_password
from app.settings import Settings
from app.store.audit import Actor
from app.store.components import add_component
from app.store.incidents import add_incident, add_update
from app.store.maintenance import add_maintenance
from app.store.operators import add_operator, read_operators
from app.store.tables import Impact, Incident, State
from waterspout.service.sql import prepare
from waterspout.service.sql.migrations import upgrade_tables

MIGRATIONS = Path(__file__).with_name("migrations")
EXAMPLES = Path(__file__).with_name("examples.toml")
EXAMPLE_OPERATOR = "operator"
EXAMPLE_ACTOR = Actor("example")
COMPONENTS_ADDED = timedelta(days=120)


def prepare_database(settings: Settings) -> None:
    """Create the tables, or bring them up to date; fill the example's. Raises DatabaseError."""
    prepare(settings.database_url, lambda session: prepare_tables(session, settings))


def prepare_tables(session: Session, settings: Settings) -> None:
    """Do all of it in this transaction. A database that was configured gets no examples."""
    connection = session.connection()
    new = not inspect(connection).has_table(Incident.__tablename__)
    upgrade_tables(connection, MIGRATIONS)
    if new and settings.example:
        add_examples(session, datetime.now(UTC))
    if settings.example and not read_operators(session):
        password = derive_password(settings.secret_key, EXAMPLE_OPERATOR)
        add_operator(session, EXAMPLE_OPERATOR, hash_password(password), EXAMPLE_ACTOR)


def add_examples(session: Session, now: datetime) -> None:
    """Add the examples as if they had happened shortly before `now`."""
    examples = tomllib.loads(EXAMPLES.read_text())
    components: dict[str, int] = {}
    for name in examples["components"]:
        component = add_component(session, name, EXAMPLE_ACTOR)
        component.created_at = now - COMPONENTS_ADDED
        components[name] = component.id
    for incident in examples["incidents"]:
        add_example(session, incident, [components[incident["component"]]], now)
    planned = examples["maintenance"]
    add_maintenance(
        session,
        planned["title"],
        planned["text"],
        starts_at := now + timedelta(minutes=planned["ahead"]),
        starts_at + timedelta(minutes=planned["lasts"]),
        components=[components[planned["component"]]],
        by=EXAMPLE_ACTOR,
    )


def add_example(session: Session, example: dict[str, Any], components: list[int], now: datetime) -> None:
    """Add an incident from the file, with its updates."""
    number = None
    for update in example["updates"]:
        state, text = State(update["state"]), update["text"]
        moment = now - timedelta(minutes=example["ago"] - update["after"])
        if number is None:
            title, impact = example["title"], Impact(example["impact"])
            first = add_incident(
                session, title, state, text, moment, impact=impact, components=components, by=EXAMPLE_ACTOR
            )
            number = first.incident_id
        else:
            add_update(session, number, state, text, moment, by=EXAMPLE_ACTOR)
