"""The exchange record: what is known about one request and its reply, for the access log and all figures.

One for each request, whatever answers it; `owner` says what does.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from itertools import count
from typing import Any, Final

from waterspout.exceptions import RequestRefused
from waterspout.limits import VIEW_TEXT
from waterspout.logs.loggers import escape
from waterspout.logs.steady import steady
from waterspout.message.framing import TOKEN_CHARACTER

access_log = steady("waterspout.access")

#: A request ID that is accepted from the client: a token of RFC 9110 with a maximum length.
_WELL_FORMED: Final = re.compile(TOKEN_CHARACTER + "{1,128}")

_FORMAT: Final = "%s %s %s %s %dB %.1fms %s %s%s"
_numbers = count(1)
_prefix = secrets.token_hex(6)


def make_request_id(proposed: str | None) -> str:
    """The client's or proxy's own ID if it is well formed, else a new one, unique among all servers."""
    if proposed is not None and _WELL_FORMED.fullmatch(proposed):
        return proposed
    return f"{_prefix}-{next(_numbers):x}"


_REFUSALS: Final = {408: "too-slow", 413: "body-too-large", 500: "cut"}


def describe_request(method: str, target: str) -> str:
    """Method and path, for logs and statistics; a query may contain what no log should."""
    text = f"{escape(method)} {escape(target.partition('?')[0])}"
    return text if len(text) <= VIEW_TEXT else f"{text[:VIEW_TEXT]}..."


class Record:
    """One exchange.

    Attributes: `owner`, "native" or "wsgi" ("server" where neither was asked); `bytes_sent`, of the reply's
    body; `note`, a word for anything unusual ("client-left", "cut", "no-lane", ...), last on the access line;
    times are `time.perf_counter()` seconds: `opened` when the head was read, `submitted` when a lane was
    asked for, `started` when one took it; `root_path`, the part of the target's path that rules don't see.
    """

    __slots__ = (
        "bytes_sent",
        "method",
        "note",
        "opened",
        "owner",
        "remote_addr",
        "request_id",
        "root_path",
        "started",
        "status",
        "submitted",
        "target",
    )

    def __init__(
        self,
        owner: str,
        method: str,
        target: str,
        remote_addr: str,
        request_id: str,
        opened: float | None = None,
    ) -> None:
        self.owner = owner
        self.method = method
        self.target = target
        self.remote_addr = remote_addr
        self.request_id = request_id
        self.status = 0
        self.bytes_sent = 0
        self.note = self.root_path = ""
        self.opened = self.submitted = time.perf_counter() if opened is None else opened
        self.started: float | None = None

    def log(self) -> None:
        """Write the access line. Status 0: the client left before it got one."""
        if not access_log.isEnabledFor(logging.INFO):
            return
        facts = (
            self.remote_addr,
            escape(self.method),
            escape(self.target),
            self.status or "-",
            self.bytes_sent,
            (time.perf_counter() - self.opened) * 1000,
            self.owner,
            self.request_id,
            f" {self.note}" if self.note else "",
        )
        # As `access_log.info` does, except for the search for the calling line: that is this one.
        made = access_log.makeRecord(
            access_log.name, logging.INFO, __file__, _LOG_LINE, _FORMAT, facts, None, "log"
        )
        access_log.handle(made)


def log_refusal(
    remote_addr: str, refused: RequestRefused, method: str = "-", target: str = "-", request_id: str = "-"
) -> None:
    """Write the access line of a request that nothing is asked to answer, and why. If it is not even a
    request, the line contains nothing that its client has sent.
    """
    record = Record("server", method, target, remote_addr, request_id)
    record.status, record.note = refused.status, f"refused: {refused}"
    record.log()


def word_for(status: int) -> str:
    """The word for a request that the server has refused, or cut, with this status; 0: its client left."""
    return "client-left" if not status else _REFUSALS.get(status, "bad-framing")


def is_logged() -> bool:
    """Whether access lines are logged."""
    return access_log.isEnabledFor(logging.INFO)


def record_of(request: Any) -> Record:
    """The exchange record of a Tornado request to a native handler, made when first asked for.

    It is an attribute of the request, which accepts any. Our own requests make it themselves.
    """
    record: Record | None = getattr(request, "record", None)
    if record is None:
        request_id = make_request_id(request.headers.get("X-Request-Id"))
        record = request.record = Record(
            "native", request.method or "", request.uri or "", request.remote_ip or "", request_id
        )
    return record


def take_over(request: Any) -> bool:
    """Answer `request`, and write its access line, in place of the function of a rule that it comes from, if
    it does: see `RecordedConnection`. Returns whether it does.
    """
    hand_on = getattr(request.connection, "hand_on", None)
    if hand_on is not None:
        request.connection = hand_on()
    return hand_on is not None


_LOG_LINE: Final = Record.log.__code__.co_firstlineno
