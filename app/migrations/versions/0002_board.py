"""Incidents, components, maintenance, attachments, operators and what they did."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = None


def number() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def text(name: str, length: int, unique: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(length), nullable=False, unique=unique)


def moment(name: str, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def index(table: str, column: str) -> None:
    op.create_index(f"ix_{table}_{column}", table, [column])


def link(table: str) -> sa.Column[int]:
    return sa.Column(f"{table}_id", sa.Integer, sa.ForeignKey(f"{table}.id"), primary_key=True)


def upgrade() -> None:
    if not sa.inspect(op.get_bind()).has_table("incident"):
        add_incidents()  # a database from before there were migrations has them
    upgrade_incidents()
    add_components()
    add_attachments()
    add_operators()
    add_audit()


def add_incidents() -> None:
    op.create_table(
        "incident",
        *(number(), text("title", 120), text("state", 16), moment("opened_at")),
        sa.Column("update_count", sa.Integer, nullable=False),
    )
    index("incident", "state")
    op.create_table(
        "incident_update",
        *(number(), sa.Column("incident_id", sa.Integer, sa.ForeignKey("incident.id"), nullable=False)),
        *(sa.Column("number", sa.Integer, nullable=False), text("state", 16), text("text", 2000)),
        *(moment("posted_at"), sa.UniqueConstraint("incident_id", "number")),
        sqlite_autoincrement=True,
    )


def upgrade_incidents() -> None:
    op.add_column("incident", sa.Column("impact", sa.String(16), nullable=False, server_default="minor"))
    op.add_column("incident", moment("resolved_at", nullable=True))
    index("incident", "resolved_at")
    op.execute(
        "UPDATE incident SET resolved_at = (SELECT max(posted_at) FROM incident_update "
        "WHERE incident_id = incident.id) WHERE state = 'resolved'"
    )


def add_components() -> None:
    op.create_table(
        "component",
        *(number(), text("name", 60, unique=True), sa.Column("position", sa.Integer, nullable=False)),
        *(moment("created_at"), moment("archived_at", nullable=True)),
    )
    op.create_table(
        "maintenance",
        *(number(), text("title", 120), text("text", 2000), moment("starts_at"), moment("ends_at")),
        moment("cancelled_at", nullable=True),
    )
    index("maintenance", "ends_at")
    op.create_table("incident_component", link("incident"), link("component"))
    op.create_table("maintenance_component", link("maintenance"), link("component"))


def add_attachments() -> None:
    op.create_table(
        "attachment",
        number(),
        sa.Column("update_id", sa.Integer, sa.ForeignKey("incident_update.id"), nullable=False),
        *(text("name", 100), text("media_type", 100), sa.Column("size", sa.Integer, nullable=False)),
        *(text("sha256", 64), text("stored_as", 64, unique=True)),
    )
    index("attachment", "update_id")


def add_operators() -> None:
    op.create_table(
        "operator",
        *(number(), text("name", 60, unique=True), text("password", 255)),
        *(moment("created_at"), moment("disabled_at", nullable=True)),
    )
    op.create_table(
        "invitation",
        *(number(), text("token_hash", 64, unique=True), moment("created_at"), moment("expires_at")),
        moment("used_at", nullable=True),
    )
    op.create_table("guess", number(), text("counted_by", 150), moment("made_at"))
    index("guess", "counted_by")
    index("guess", "made_at")


def add_audit() -> None:
    op.create_table(
        "audit_line",
        *(number(), moment("at"), text("who", 60), text("address", 60), text("action", 40)),
        text("subject", 200),
        sqlite_autoincrement=True,
    )
