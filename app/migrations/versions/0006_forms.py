"""Which form an update came from: sent twice, it is posted once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("incident_update", sa.Column("form", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_incident_update_form", "incident_update", ["form"])
