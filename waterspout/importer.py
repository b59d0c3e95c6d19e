"""`MODULE:NAME` and `MODULE:FACTORY()` become objects, and failures become one clear line."""

from __future__ import annotations

import re
import traceback
from importlib import import_module
from typing import Any, Final

from waterspout.exceptions import TargetNotFound, TargetRaised

_SPEC: Final = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_][\w.]*)(\(\))?")


def resolve(spec: str) -> Any:
    """Import what `spec` names; with `()` behind the name, call it without arguments.

    Raises TargetNotFound: not of this form, or no such module or name. TargetRaised: the module or the
    factory raised.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise TargetNotFound(f"{spec!r}: write MODULE:NAME or MODULE:FACTORY(), like mypackage.web:app")
    module_name, path, call = match.groups()
    found = _import(spec, module_name)
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise TargetNotFound(f"{spec!r}: {module_name!r} has no {path!r}") from None
    if not call:
        return found
    if not callable(found):
        raise TargetNotFound(f"{spec!r}: {path!r} can't be called: leave out the ()")
    try:
        return found()
    except (Exception, SystemExit) as error:
        raise TargetRaised(describe(spec, error)) from error


def resolve_callable(spec: str) -> Any:
    """`resolve`, for what must be a WSGI callable. Raises TargetNotFound, TargetRaised."""
    found = resolve(spec)
    if not callable(found):
        raise TargetNotFound(f"{spec!r} is no WSGI callable, but {type(found).__name__}")
    return found


def _import(spec: str, module_name: str) -> Any:
    try:
        return import_module(module_name)
    except ModuleNotFoundError as error:
        # Only the module that was asked for: one that *it* can't find is its own failure.
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise TargetNotFound(
                f"{spec!r}: there is no module {error.name!r} (looked in the current directory, too)"
            ) from None
        raise TargetRaised(describe(spec, error)) from error
    except (Exception, SystemExit) as error:
        raise TargetRaised(describe(spec, error)) from error


def describe(spec: str, error: BaseException) -> str:
    """One line: what was raised, and the frame that raised it."""
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{error.filename}:{error.lineno}"
    else:
        frames = traceback.extract_tb(error.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else "?"
    text = " ".join(str(error).split()) or "no message"
    return f"{spec!r} raised {type(error).__name__}: {text} ({place})"
