"""Flask's own names (`request`, `session`, `url_for`), used where there is no request of Flask's. What Flask
says to that, to set up a context, helps nobody there.
"""

from __future__ import annotations

import logging
from typing import Final

_logger = logging.getLogger(__name__)
#: How Flask begins what it says.
_OUTSIDE: Final = "Working outside of "


def tell_outside(error: BaseException | None) -> None:
    """Behind the traceback of what a native handler has raised: where to look, if it was that."""
    if not isinstance(error, RuntimeError) or not error.args:
        return
    if isinstance(error.args[0], str) and error.args[0].startswith(_OUTSIDE):
        _logger.warning(
            "a native handler is outside of Flask's requests: what it has in place of request, session, g, "
            "url_for and the like, docs/routing.md says (Porting a route)"
        )
