"""Which of the server's own code has changed since it was loaded: a reload brings new Flask code alone."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Callable, Iterable
from typing import Final

from waterspout.importer import Home
from waterspout.serving.reloading import find_own_files

logger = logging.getLogger("waterspout.server")

#: A line names so many files, at most.
_NAMED: Final = 3
#: It takes some hundredths of a second, as a rule.
_PATIENCE: Final = 1.0


class Sources:
    """What the modules of this process were made of, by the names of their files: where such a name leads
    through a link to the current release, the next one is compared. Both are done in a thread: a disk may be
    slow, and the WSGI app is loaded meanwhile.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, int] = {}
        self._thread: threading.Thread | None = None

    def remember(self) -> None:
        """They are loaded."""
        self._thread = _start(self._remember)

    def settle(self) -> None:
        """Wait until that is done, or takes too long: who serves has no descriptor to spare."""
        if self._thread is not None:
            self._thread.join(_PATIENCE)

    def tell_changed(self) -> None:
        """Warn of those whose files are others now; not of those that are gone."""
        _start(self._tell_changed)

    def _remember(self) -> None:
        self._loaded = _read(find_own_files())

    def _tell_changed(self) -> None:
        now = _read(self._loaded)
        changed = sorted(file for file in now if now[file] != self._loaded[file])
        if not changed:
            return
        home = os.path.join(os.sep, Home.path or os.getcwd())
        named = ", ".join(os.path.relpath(file, home) for file in changed[:_NAMED])
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        logger.warning(
            "SIGHUP: native code has changed since the start (%s%s): a restart loads it", named, more
        )


def _start(target: Callable[[], None]) -> threading.Thread | None:
    thread = threading.Thread(target=target, name="waterspout-sources", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread can be started
        return None
    return thread


def _read(files: Iterable[str]) -> dict[str, int]:
    """A checksum of each that is there."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError), open(file, "rb") as source:
            found[file] = zlib.crc32(source.read())
    return found
