"""Flask's own names (`request`, `session`, `abort`), used where there is no Flask request. Flask's advice, to
set up a context, doesn't help there, and what its extensions raise doesn't say what is wrong.
"""

from __future__ import annotations

import logging
from typing import Final

_logger = logging.getLogger(__name__)
#: How Flask's message begins.
_OUTSIDE: Final = "Working outside of "
#: What is asked of a user. Outside of a request Flask-Login's `current_user` stands for None.
_ASKED: Final = frozenset({"is_authenticated", "is_anonymous", "is_active", "get_id"})


def tell_outside(error: BaseException | None) -> None:
    """After the traceback of an exception from a native handler, log where to look if it was this mistake."""
    if _is_outside(error) or _is_werkzeugs(error) or _asks_nobody(error):
        _logger.warning(
            "a native handler runs outside of Flask's requests: for what replaces request, session, g, "
            "url_for, abort, current_user and the like, see docs/routing.md (Porting a route)"
        )


def _is_outside(error: BaseException | None) -> bool:
    if not isinstance(error, RuntimeError) or not error.args:
        return False
    return isinstance(error.args[0], str) and error.args[0].startswith(_OUTSIDE)


def _is_werkzeugs(error: BaseException | None) -> bool:
    """Whether it is one of Werkzeug's `HTTPException`s, as `abort(404)` raises them."""
    return any(each.__module__ == "werkzeug.exceptions" for each in type(error).__mro__)


def _asks_nobody(error: BaseException | None) -> bool:
    return isinstance(error, AttributeError) and error.obj is None and error.name in _ASKED
