"""The report of `waterspout routes`: the rules of both sides, and what is wrong. Only values. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

#: The version of the format of `as_json`.
VERSION: Final = 1

SHADOWED: Final = "shadowed"
PARTLY_SHADOWED: Final = "partly-shadowed"
UNREACHABLE: Final = "unreachable"
UNDECLARED: Final = "access-undeclared"

NATIVE: Final = "native"
FLASK: Final = "Flask"
WSGI: Final = "WSGI"

_COLUMNS: Final = ("path", "methods", "owner", "target", "access", "source")


@dataclass(frozen=True)
class Row:
    """One rule. `methods`: without HEAD and OPTIONS that are added automatically; None: any. `target`: the
    handler class, the endpoint or the WSGI app. `name`: its name for `reverse_url` and `url_for`. `access`:
    "public", "authenticated", "not declared", "login_required", "-". `source`: "file:line".
    """

    path: str
    methods: tuple[str, ...] | None
    owner: str
    target: str
    name: str | None
    access: str
    source: str

    @property
    def cells(self) -> tuple[str, ...]:
        methods = "any" if self.methods is None else ", ".join(self.methods)
        return (self.path, methods, self.owner, self.target, self.access, self.source)


@dataclass(frozen=True)
class Finding:
    """Something wrong. `kind`: see above. `path`, `methods`, `target`, `source`: of the rule affected; `by`:
    what takes its requests; `samples`: requests that show it. `declared`: it is intended. `text` says what is
    wrong, and `advice` what to do.
    """

    kind: str
    path: str
    methods: tuple[str, ...]
    target: str
    source: str
    text: str
    advice: str
    by: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    declared: bool = False


@dataclass(frozen=True)
class Report:
    """`rows`: in the order in which they are tried; `notes`: what was not checked, and why, and what may be
    meant.
    """

    rows: Sequence[Row] = ()
    findings: Sequence[Finding] = ()
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def undeclared(self) -> list[Finding]:
        """Findings that are still to be settled."""
        return [finding for finding in self.findings if not finding.declared]

    def as_json(self) -> str:
        """A stable object: fields may be added, but are never removed without a new `version`."""
        told: dict[str, Any] = {
            "version": VERSION,
            "routes": [asdict(row) for row in self.rows],
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
        }
        return json.dumps(told, indent=2)

    def as_text(self) -> str:
        """The table, and below it the findings and notes."""
        lines = [_COLUMNS, *(row.cells for row in self.rows)]
        widths = [max(len(cells[number]) for cells in lines) for number in range(len(_COLUMNS))]
        table = [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
            for cells in ([column.upper() for column in _COLUMNS], *(row.cells for row in self.rows))
        ]
        parts = ["\n".join(table), self.describe_findings(self.findings), "\n".join(self.notes)]
        return "\n\n".join(filter(None, parts))

    def as_markdown(self) -> str:
        """The table for a document: without sources, whose lines change with every edit."""
        rows = [f"| {' | '.join(_mark_up(row))} |" for row in self.rows]
        return "\n".join(
            ["| path | methods | answered by | handler or endpoint | access |", "|---" * 5 + "|", *rows]
        )

    @staticmethod
    def describe_findings(findings: Sequence[Finding]) -> str:
        return "\n".join(
            f"{finding.kind}{' (declared)' * finding.declared}: {finding.text}"
            + (f"\n    {finding.advice}" if not finding.declared else "")
            for finding in findings
        )


def _mark_up(row: Row) -> list[str]:
    path, methods, owner, target, access, _source = row.cells
    code = [f"`{text}`".replace("|", "\\|") for text in (path, target)]
    return [code[0], methods, owner, code[1], access]
