"""What the extras of setup.cfg install, and the error message if one is missing. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

_NEEDS_SQL: Final = "needs the extra sql: pip install '/path/to/waterspout[sql]'"
NEEDS_POSTGRES: Final = "needs the extra postgres: pip install '/path/to/waterspout[postgres]'"

#: Packages, by module name -> what to install.
_BROUGHT: Final = {
    "aiosqlite": _NEEDS_SQL,
    "greenlet": _NEEDS_SQL,
    "sqlalchemy": _NEEDS_SQL,
    "psycopg": NEEDS_POSTGRES,
    "alembic": "needs alembic for migrations: pip install alembic",
}


@contextmanager
def naming_extras(*modules: str) -> Iterator[None]:
    """Turn an ImportError, from Python or SQLAlchemy, for one of these packages into one that names the
    extra: the original only leads to the next missing package. `modules`: those that are only needed later.
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
