"""Which lines of the audit are about what everybody sees: numbered, continuing from what open pages know."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

ACTIONS = (
    *("added component", "renamed component", "moved component", "archived component", "restored component"),
    *("changed components", "planned maintenance", "cancelled maintenance", "ended maintenance"),
)


def upgrade() -> None:
    op.add_column("audit_line", sa.Column("change", sa.Integer, nullable=False, server_default="0"))
    op.create_index("ix_audit_line_change", "audit_line", ["change"])
    line = sa.table("audit_line", sa.column("id"), sa.column("action"), sa.column("change"))
    op.execute(line.update().where(line.c.action.in_(ACTIONS)).values(change=line.c.id))
