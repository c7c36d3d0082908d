"""Which codes a registry knows: tables in a CSV file, and those that whoever starts the simulator adds.

The first line is ``table;scheme;codes``; each further line adds codes of one coding scheme, with spaces between. UTF-8;
empty lines and those that begin with ``#`` are skipped.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from cardd.errors import InvalidRequest

TABLES = ("class", "type", "format", "mime", "confidentiality", "facility", "practice", "specialty")
HEAD = "table;scheme;codes"

CLASSES_OF_TYPES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ["11488-4", "11490-0", "11502-2", "34112-3", "34874-8", "15507-7", "70004-7", "85208-7", "96349-6"], ("10",)
    ),
    "18748-4": ("31", "10"),  # 10 in older sources
    "60591-5": ("11",),
    **dict.fromkeys(["57833-6", "57828-6", "57832-8", "55115-0"], ("42",)),
    "60593-1": ("43",),
    "18776-5": ("44",),
    "80565-5": ("45",),
    **dict.fromkeys(["87273-9", "11369-6", "89601-9"], ("52",)),
    "59284-0": ("95",),
}
"""The class of a document type, for the types of which public sources tell it."""


class Codes:
    """All tables: the coding schemes of each code."""

    def __init__(self) -> None:
        self._schemes: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, table: str, scheme: str, codes: str) -> None:
        """Know more codes. Raises ValueError for a table that there is not."""
        if table not in TABLES or not codes.split():
            raise ValueError(", ".join(TABLES))
        for code in codes.split():
            self._schemes[table, code].add(scheme)

    def knows(self, table: str, code: str) -> bool:
        """Return whether some coding scheme of the table has the code."""
        return (table, code) in self._schemes

    def has(self, table: str, code: str, scheme: str) -> bool:
        """Return whether this coding scheme of the table has the code."""
        return scheme in self._schemes.get((table, code), ())


def load(path: Path | None) -> Codes:
    """Return our tables, with those of a file. Raises InvalidRequest with the line that will not do."""
    codes = Codes()
    own = (files(__package__) / "codes.csv").read_text("utf-8")
    try:
        added = "" if path is None else path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as fault:
        raise InvalidRequest(where="codes", why=str(fault)) from fault
    for text in (own, added):
        for number, line in _lines(text):
            try:
                codes.add(*line.split(";"))
            except (TypeError, ValueError) as fault:
                raise InvalidRequest(where=f"codes:{number}", why=f"{HEAD} ({', '.join(TABLES)})") from fault
    return codes


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#") and line.strip() != HEAD:
            yield number, line.strip()
