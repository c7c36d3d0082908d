"""Which roles may do what with which documents: a table in a CSV file. The official matrix is not shipped.

The first line is ``role;type;acces;droits``, the columns in any order; others, such as remarks, are not read. Each
further line gives rights; all lines that fit add up, and where none fits there is no right. UTF-8, separated by
semicolons; empty lines and those that begin with ``#`` are skipped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from enum import StrEnum
from importlib.resources import files
from pathlib import Path

from cardd.errors import InvalidRequest
from cardd.values import Value

ANY = "*"
ACCESSES = ("normal", "bris_de_glace", "centre_15")
LINES_MAX = 100_000


class Right(StrEnum):
    """What may be done; MASKED: see documents that are masked to professionals, beside those of one's own place."""

    CONSULT = "consulter"
    FEED = "alimenter"
    MASKED = "masques"


class Rule(Value):
    """One line. ``role`` is a first role (``10``), or with the second (``10/SM54``), or ``*``."""

    role: str
    type: str
    access: str
    rights: frozenset[Right]

    def fits(self, roles: Sequence[str], kind: str, access: str) -> bool:
        """Return whether the line is about a caller with these roles, this document type and this mode of access."""
        return (
            self.role in (ANY, "/".join(roles[:1]), "/".join(roles))
            and self.type in (ANY, kind)
            and self.access in (ANY, access)
        )


class Rights(Value):
    """The whole table."""

    rules: Sequence[Rule]

    def allow(self, right: Right, roles: Sequence[str], kind: str, access: str) -> bool:
        """Return whether some line gives the right."""
        return any(right in rule.rights and rule.fits(roles, kind, access) for rule in self.rules)


def load(path: Path | None) -> Rights:
    """Return the table of a file; None: the fictitious sample. Raises InvalidRequest with the line that will not do."""
    try:
        text = (path or files(__package__) / "rights-SIMULATION.csv").read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise InvalidRequest(where="--table", why=str(fault)) from fault
    return Rights(tuple(_rules(text.splitlines())))


def _rules(lines: Sequence[str]) -> Iterable[Rule]:
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered or len(numbered) > LINES_MAX:
        raise InvalidRequest(where="--table", why=f"1-{LINES_MAX}")
    reader = csv.DictReader((line for _, line in numbered), delimiter=";")
    if missing := {"role", "type", "acces", "droits"} - set(reader.fieldnames or ()):
        raise InvalidRequest(where="--table:1", why=", ".join(sorted(missing)))
    for (number, _), row in zip(numbered[1:], reader, strict=True):
        try:
            yield _rule({name: (row[name] or "").strip() for name in ("role", "type", "acces", "droits")})
        except ValueError as fault:
            raise InvalidRequest(where=f"--table:{number}", why=str(fault)) from fault


def _rule(row: dict[str, str]) -> Rule:
    if not (row["role"] and row["type"] and row["acces"] in (ANY, *ACCESSES)):
        raise ValueError("role;type;acces")
    return Rule(row["role"], row["type"], row["acces"], frozenset(Right(word) for word in row["droits"].split()))
