"""What the extras of setup.cfg bring, and one sentence for whoever has not installed one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

_NEEDS_SQL: Final = "needs the extra sql: pip install '/path/to/waterspout[sql]'"
NEEDS_POSTGRES: Final = "needs the extra postgres: pip install '/path/to/waterspout[postgres]'"

#: Packages, by their modules -> what brings them.
_BROUGHT: Final = {
    "aiosqlite": _NEEDS_SQL,
    "greenlet": _NEEDS_SQL,
    "sqlalchemy": _NEEDS_SQL,
    "psycopg": NEEDS_POSTGRES,
    "alembic": "needs alembic for migrations: pip install alembic",
}


@contextmanager
def naming_extras(*modules: str) -> Iterator[None]:
    """Raises ImportError for one of these packages that is missing, from what Python says of it, or
    SQLAlchemy: each alone leads to the next one that is missing. `modules`: what is needed later only.
    """
    try:
        for module in modules:
            if find_spec(module) is None:
                raise ModuleNotFoundError(f"No module named {module!r}", name=module)
        yield
    except ImportError as error:
        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        name = missing.name if isinstance(missing, ModuleNotFoundError) else None
        needed = _BROUGHT.get((name or "").partition(".")[0])
        if needed is None:
            raise
        raise ImportError(f"waterspout.service.sql {needed}", name=name) from error
