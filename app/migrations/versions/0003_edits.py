"""Which line of the audit is about the last change to an incident that was not an update."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("incident", sa.Column("edited_in", sa.Integer, nullable=False, server_default="0"))
