"""The changes to the tables, in order (Alembic): `versions/` has one file for each."""
