"""How often an operator has signed out: sessions from before that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("operator", sa.Column("sign_outs", sa.Integer, nullable=False, server_default="0"))
