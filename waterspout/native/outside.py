"""Flask's own names (`request`, `session`, `url_for`), used where there is no Flask request. Flask's advice,
to set up a context, doesn't help there.
"""

from __future__ import annotations

import logging
from typing import Final

_logger = logging.getLogger(__name__)
#: How Flask's message begins.
_OUTSIDE: Final = "Working outside of "


def tell_outside(error: BaseException | None) -> None:
    """After the traceback of an exception from a native handler, log where to look if it was this mistake."""
    if not isinstance(error, RuntimeError) or not error.args:
        return
    if isinstance(error.args[0], str) and error.args[0].startswith(_OUTSIDE):
        _logger.warning(
            "a native handler runs outside of Flask's requests: for what replaces request, session, g, "
            "url_for and the like, see docs/routing.md (Porting a route)"
        )
