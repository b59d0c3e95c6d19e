"""How what happened differs from what the case says. Pure."""

import json
from collections.abc import Sequence

from tests.http.case import Case, Request
from tests.http.client import Outcome, Plan, Reply
from tests.http.recorder import describe_body


def make_plan(case: Case, pieces: Sequence[bytes], pause: float, deadline: float) -> Plan:
    """How the client must talk so that the case can be judged."""
    replies = len(case.requests) + (case.refused is not None)
    then = "half-close" if case.incomplete else "eof" if case.refused or case.closes else "probe"
    methods = [request.method for request in case.requests]
    return Plan(pieces, replies, then, methods, pause, deadline=deadline)


def difference(case: Case, outcome: Outcome, *, strict: bool) -> str | None:
    """One sentence, or None. `strict`: the form of a refusal and of the connection's end counts, too."""
    replies = outcome.replies
    for number, request in enumerate(case.requests):
        if number >= len(replies):
            return f"reply {number} did not come: {outcome.ending}"
        if said := _differs(request, replies[number]):
            return f"reply {number}: {said}"
    rest = replies[len(case.requests) :]
    if case.refused and not rest and outcome.ending == "reset" and not strict and case.tornado == "same":
        return None  # Tornado closes without reading what still comes, which may destroy its answer
    said = _judge_rest(case, rest, strict)
    return f"{said}; {outcome.ending}" if said else _judge_end(case, outcome, strict)


def _judge_rest(case: Case, rest: list[Reply], strict: bool) -> str | None:
    if not case.refused:
        extra = case.incomplete or case.closes
        return f"one reply too many: {rest[0].status} {rest[0].body[:200]!r}" if rest and extra else None
    if len(rest) != 1 or rest[0].status not in case.refused:
        shown = [(reply.status, reply.body[:200]) for reply in rest]
        return f"not refused with {sorted(case.refused)} alone: {shown}"
    return _judge_refusal(case, rest[0]) if strict else None


def _judge_refusal(case: Case, reply: Reply) -> str | None:
    if case.bare is not None and reply.bare != case.bare:
        return f"bare={reply.bare}"
    if reply.bare:
        return None
    wrong = [name for name in ("content-length", "date", "connection") if len(reply.all(name)) != 1]
    if wrong or reply.all("connection") != ["close"]:
        return f"a refusal that lacks {wrong or 'Connection: close'}: {reply}"
    return None if reply.body or b"HEAD " in case.raw else "a refusal without its body"


def _judge_end(case: Case, outcome: Outcome, strict: bool) -> str | None:
    if outcome.continues != case.continues:
        return f"{outcome.continues} times 100 Continue"
    if case.refused or case.incomplete or case.closes:
        # Something may have followed a last request: to close without reading it is a reset.
        ends = ("eof",) if strict and not case.closes else ("eof", "reset")
        return None if outcome.ending in ends else f"not closed: {outcome.ending}"
    if not outcome.probed:
        return f"does not serve on: {outcome.ending}"
    seen = read_seen(outcome.replies[-1])
    return None if seen and seen["target"] == "/probe" else f"instead of the probe: {seen}"


def read_seen(reply: Reply) -> dict | None:
    """What the recorder saw; None if it did not answer this."""
    if reply.status != 200:
        return None
    return json.loads(reply.all("x-seen")[0] if reply.all("x-seen") else reply.body)


def _differs(request: Request, reply: Reply) -> str | None:
    seen = read_seen(reply)
    if seen is None:
        return f"refused: {reply.status} {reply.body!r}"
    for name, expected in zip(("method", "target", "version"), request[:3], strict=True):
        if seen[name] != expected:
            return f"{name} {seen[name]!r}"
    if any(seen.get(key) != value for key, value in describe_body(request.body).items()):
        return f"another body: {str({**seen, 'headers': None})[:200]}"
    return _headers_differ(request, seen["headers"])


def _headers_differ(request: Request, pairs: list[list[str]]) -> str | None:
    for name, expected in request.headers.items():
        wanted = [] if expected is None else [expected] if isinstance(expected, str) else expected
        found = [value for key, value in pairs if key.lower() == name]
        if found != wanted:
            return f"{name}: {found}"
    return None
