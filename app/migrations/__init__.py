"""The tables' changes, in order (Alembic): `versions/` holds one file for each."""
