"""The local time of the server, in each of its processes, whatever zone an app sets. Leaf."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone, tzinfo
from functools import cached_property
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

#: What localtime(3) goes by if TZ is not set.
_SYSTEM: Final = "/etc/localtime"
#: TZ as it was before any code of the app ran; None: it was not set.
TIME_ZONE: Final = os.environ.get("TZ")


class LocalTime:
    """The local time where TZ is `zone`. An app may set it for its whole process, as Django does by its
    TIME_ZONE: lines of its processes would be hours away from the server's.
    """

    def __init__(self, zone: str | None = TIME_ZONE) -> None:
        self._name = zone
        is_set = os.environ.get("TZ") == zone
        self._ours = _ask() if is_set else None
        self._offset = time.localtime().tm_gmtoff if is_set else 0

    def __call__(self, seconds: float) -> time.struct_time:
        # Where TZ is set without tzset(3), Python does not know, but mktime(3) and others call that, too.
        if _ask() == self._ours and os.environ.get("TZ") == self._name:
            return time.localtime(seconds)
        return datetime.fromtimestamp(seconds, self._zone).timetuple()

    @cached_property
    def _zone(self) -> tzinfo:
        try:
            name = _SYSTEM if self._name is None else self._name.removeprefix(":")
            if not os.path.isabs(name):
                return ZoneInfo(name)
            with open(name, "rb") as rules:
                return ZoneInfo.from_file(rules)
        except (OSError, ValueError, ZoneInfoNotFoundError):
            # There is none: it is UTC. Or TZ spells its rules out (CET-1CEST): those of summer are not known.
            return timezone(timedelta(seconds=self._offset))


def _ask() -> tuple[object, ...]:
    return time.tzname, time.timezone, time.altzone
