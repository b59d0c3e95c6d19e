"""Which of the server's own code has changed since it was loaded: a reload loads only new Flask code."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import zlib
from collections.abc import Iterable
from typing import Final

from waterspout.importer import Home
from waterspout.serving.reloading import find_own_files

logger = logging.getLogger("waterspout.server")

#: The most files that one log line names.
_NAMED: Final = 3


class Sources:
    """What the modules of this process were loaded from, by file name: where such a name leads through a link
    to the current release, the next one is compared.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, int] = {}

    def remember(self) -> None:
        """Call once they are loaded. Their files have just been read: each takes a tenth of a millisecond."""
        self._loaded = _read(find_own_files())

    def tell_changed(self) -> None:
        """Warn about files that have changed, but not about those that are gone. In a thread: the disk may be
        slow by now.
        """
        with contextlib.suppress(RuntimeError):  # no thread can be started
            threading.Thread(target=self._tell_changed, name="waterspout-sources", daemon=True).start()

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


def _read(files: Iterable[str]) -> dict[str, int]:
    """A checksum of each file that exists."""
    found = {}
    for file in files:
        with contextlib.suppress(OSError), open(file, "rb") as source:
            found[file] = zlib.crc32(source.read())
    return found
