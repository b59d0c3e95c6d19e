"""How bad an incident was from each of its updates on: for existing updates, the incident's final impact."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column(
        "incident_update", sa.Column("impact", sa.String(16), nullable=False, server_default="minor")
    )
    op.execute(
        "UPDATE incident_update SET impact = "
        "(SELECT impact FROM incident WHERE incident.id = incident_update.incident_id)"
    )
