"""What services on the engine have in common and no library provides: the status board is built on it. The
engine itself uses none of it.

`sql`, one database for both sides; `sessions`, who signed in with Flask; `folder`, uploaded files;
`sniffing`, what type a file is; `keys`, a secret made at the first start; `sites`, where a request comes
from; `newest`, a cache for views.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from waterspout.service import folder as folder
    from waterspout.service import keys as keys
    from waterspout.service import newest as newest
    from waterspout.service import sessions as sessions
    from waterspout.service import sites as sites
    from waterspout.service import sniffing as sniffing
    from waterspout.service import sql as sql

_MODULES = ("folder", "keys", "newest", "sessions", "sites", "sniffing", "sql")

if not TYPE_CHECKING:  # else a type checker would accept any name

    def __getattr__(name: str) -> Any:
        """Each is loaded when first used: `sql` and `sessions` need packages that not everybody has."""
        if name not in _MODULES:
            raise AttributeError(f"module 'waterspout.service' has no attribute {name!r}")
        return import_module(f"waterspout.service.{name}")
