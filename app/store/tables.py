"""The tables: what is kept, not how it is queried. A change here needs a migration."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Column, DateTime, Dialect, Enum, ForeignKey, String, Table, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, Relationship, declared_attr, mapped_column, relationship
from sqlalchemy.types import TypeDecorator

TITLE_LENGTH = 120
TEXT_LENGTH = 2000
NAME_LENGTH = 60
FILE_NAME_LENGTH = 100

# The most that a page or a reply contains, so that neither grows with the board's age.
UPDATES_LISTED = 10
UPDATES_SHOWN = 500


class State(StrEnum):
    """The state of an incident, in chronological order."""

    INVESTIGATING = "investigating"
    IDENTIFIED = "identified"
    MONITORING = "monitoring"
    RESOLVED = "resolved"


class Impact(StrEnum):
    """How bad an incident is for the components that it concerns, the worst last."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


class Phase(StrEnum):
    """The phase of planned maintenance: determined by the clock, unless it was cancelled."""

    SCHEDULED = "scheduled"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


class Moment(TypeDecorator[datetime]):
    """An aware `datetime`, in UTC in the database: SQLite stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def by_value(kind: type[StrEnum]) -> Enum:
    """The column type that stores a member's value, as text."""
    values = [member.value for member in kind]
    return Enum(kind, native_enum=False, length=16, values_callable=lambda _: values)


class Base(DeclarativeBase):
    """The tables of the board. Each is named after its class, and numbers its rows."""

    id: Mapped[int] = mapped_column(primary_key=True)

    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: Moment,
        State: by_value(State),
        Impact: by_value(Impact),
    }

    @declared_attr.directive
    def __tablename__(cls) -> str:
        return cls.__name__.lower()


def link(table: str) -> Column[int]:
    return Column(f"{table}_id", ForeignKey(f"{table}.id"), primary_key=True)


# Which rows of two tables belong together.
incident_component = Table("incident_component", Base.metadata, link("incident"), link("component"))
maintenance_component = Table("maintenance_component", Base.metadata, link("maintenance"), link("component"))


class Component(Base):
    """A part of what the board reports on. An archived one is no longer shown, but past incidents keep it."""

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    position: Mapped[int]
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]


def newest_updates(limit: int) -> Relationship[list["Update"]]:
    """The relationship of an incident to its newest updates, newest first."""
    return relationship(
        primaryjoin="and_(Update.incident_id == Incident.id, "
        f"Update.number > Incident.update_count - {limit})",
        order_by="Update.id.desc()",
        lazy="raise",
        viewonly=True,
    )


class Incident(Base):
    """Something that went wrong. `state`, `impact` and `update_count` are the newest update's;
    `edited_in` is the number of the last change of anything else (`AuditLine.change`), or 0.
    """

    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    state: Mapped[State] = mapped_column(index=True)
    impact: Mapped[Impact] = mapped_column(server_default=Impact.MINOR.value)
    opened_at: Mapped[datetime]
    resolved_at: Mapped[datetime | None] = mapped_column(index=True)
    update_count: Mapped[int]
    edited_in: Mapped[int] = mapped_column(server_default="0")

    components: Mapped[list[Component]] = relationship(
        secondary=incident_component, order_by=Component.position, lazy="raise"
    )
    recent_updates: Mapped[list["Update"]] = newest_updates(UPDATES_LISTED)
    updates: Mapped[list["Update"]] = newest_updates(UPDATES_SHOWN)

    @property
    def open(self) -> bool:
        return self.state is not State.RESOLVED


class Update(Base):
    """What was said about an incident, and the state and impact that it had from then on. `form` identifies
    the form that it came from, if any.

    Ids grow in the order in which updates become visible, since writers queue up
    (`waterspout.service.sql.engines`): the newest id that a reader has seen tells which updates it has not.
    """

    __tablename__ = "incident_update"
    __table_args__ = (UniqueConstraint("incident_id", "number"), {"sqlite_autoincrement": True})

    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"))
    number: Mapped[int]
    state: Mapped[State]
    impact: Mapped[Impact] = mapped_column(server_default=Impact.MINOR.value)
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    posted_at: Mapped[datetime]
    form: Mapped[str] = mapped_column(String(64), server_default="", index=True)

    attachments: Mapped[list["Attachment"]] = relationship(order_by="Attachment.id", lazy="raise")


class Attachment(Base):
    """A file with an update. `stored_as` is its name in the folder of attachments; `name` is for people."""

    update_id: Mapped[int] = mapped_column(ForeignKey("incident_update.id"), index=True)
    name: Mapped[str] = mapped_column(String(FILE_NAME_LENGTH))
    media_type: Mapped[str] = mapped_column(String(100))
    size: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64))
    stored_as: Mapped[str] = mapped_column(String(64), unique=True)


class Maintenance(Base):
    """Work that was announced, from `starts_at` until `ends_at`."""

    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    text: Mapped[str] = mapped_column(String(TEXT_LENGTH))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    cancelled_at: Mapped[datetime | None]

    components: Mapped[list[Component]] = relationship(
        secondary=maintenance_component, order_by=Component.position, lazy="raise"
    )

    @property
    def phase(self) -> Phase:
        """Its phase at this moment."""
        now = datetime.now(UTC)
        if self.cancelled_at:
            return Phase.CANCELLED
        if now < self.starts_at:
            return Phase.SCHEDULED
        return Phase.RUNNING if now < self.ends_at else Phase.DONE


class Operator(Base):
    """Somebody who may sign in. `password` is a hash; a disabled operator stays, since the audit names them.
    `sign_outs` counts: a session from before the last one is over, even if its cookie was kept.
    """

    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    password: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    sign_outs: Mapped[int] = mapped_column(server_default="0")


class Invitation(Base):
    """A link that makes one operator. Only the token's hash is kept: readers of the table can't use it."""

    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Guess(Base):
    """An attempt to sign in that has not (yet) succeeded, one row for each key that it is counted by."""

    counted_by: Mapped[str] = mapped_column(String(150), index=True)
    made_at: Mapped[datetime] = mapped_column(index=True)


class AuditLine(Base):
    """Who did what, when, from where. Written in the transaction that did it.

    `change` numbers the changes that everybody sees, except updates, which have their own; it is 0 for all
    others, so that what is not public leaves no gaps.
    """

    __tablename__ = "audit_line"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy declares it so)

    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(NAME_LENGTH))
    address: Mapped[str] = mapped_column(String(60))
    action: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(200))
    change: Mapped[int] = mapped_column(server_default="0", index=True)
