"""ANS's code tables as far as roles need them: professions, savoir-faire, sections, and the roles of others.

``codes.tsv`` has the OID of a table, a code and its words, one a line, from ANS's public value set J01
(XdsAuthorSpecialty). A code that is newer than the file has its words in the registration.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from cardd.errors import AssertionCodeUnknown

PROFESSION = "1.2.250.1.71.1.2.7"  # G15
TRAINING = "1.2.250.1.71.1.2.8"  # G16
EXPERTISE = "1.2.250.1.71.4.2.5"  # R01
SECTION = "1.2.250.1.71.4.2.6"  # G05
OTHERS = ("1.2.250.1.213.1.1.4.6", "1.2.250.1.213.1.6.1.107", "1.2.250.1.213.1.6.1.109")  # A00, R94 and R95


@cache
def _tables() -> dict[tuple[str, str], str]:
    lines = Path(__file__).with_name("codes.tsv").read_text(encoding="utf-8").splitlines()
    return {(table, code): words for table, code, words in (line.split("\t") for line in lines)}


def has(table: str, code: str) -> bool:
    """Whether the table, as we have it, has the code."""
    return (table, code) in _tables()


def words_of(table: str, code: str, labels: Mapping[str, str]) -> str:
    """The code in words. Raises AssertionCodeUnknown for one that neither the table nor ``labels`` has."""
    words = _tables().get((table, code)) or labels.get(code)
    if not words:
        raise AssertionCodeUnknown(table=table, code=code)
    return words
