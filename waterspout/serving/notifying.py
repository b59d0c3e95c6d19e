"""What a service manager is told: ready, stopping, alive. Leaf.

The protocol is systemd's, which other managers use, too: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import time
from collections.abc import Mapping
from typing import Final

from waterspout.logs.tally import Tally

#: Delay before a manager whose queue is full is told again (seconds).
_AGAIN: Final = 0.1
#: Time between two log lines that say that it can't be sent a sign of life (seconds).
_SAID_PAUSE: Final = 60.0
logger = logging.getLogger("waterspout.server")


class Notifier:
    """Notifies the manager that `environ` names in NOTIFY_SOCKET; without one, does nothing.

    A manager that doesn't read, or can't be reached, delays nothing.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = re.sub("^@", "\0", environ.get("NOTIFY_SOCKET", ""))
        self._interval = _find_interval(environ) if self._address else 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unheard = Tally(_SAID_PAUSE)

    def tell(self, state: str) -> None:
        """Send one datagram. READY=1 and STOPPING=1 are sent again until the manager takes them."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(state.encode(), self._address)
        except BlockingIOError:  # it has enough to read already
            if not state.startswith("WATCHDOG"):  # the next sign of life comes anyway
                asyncio.get_running_loop().call_later(_AGAIN, self.tell, state)
        except OSError as error:
            if state.startswith("WATCHDOG") and not self._unheard.count(time.monotonic()):
                return
            logger.warning("can't send %s to the service manager: %s", state, error)

    def start(self) -> None:
        """Send signs of life from the running loop from now on, if the manager wants them (WatchdogSec=)."""
        if self._interval:
            self._beat(asyncio.get_running_loop())

    def stop(self) -> None:
        """Send no more. Harmless when repeated."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self.tell("WATCHDOG=1")
        self._timer = loop.call_later(self._interval, self._beat, loop)


def _find_interval(environ: Mapping[str, str]) -> float:
    """Half of the requested interval, as the manual says (seconds); 0: nothing is asked of this process."""
    wanted, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID")
    if not re.fullmatch("[0-9]{1,18}", wanted) or pid not in (None, str(os.getpid())):
        return 0.0
    return int(wanted) / 2e6
