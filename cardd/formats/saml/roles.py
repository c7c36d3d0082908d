"""The professional's roles (subject:role): one, or two where the profession demands it. Source: the VIHF facts.

First the profession (G15), or for those who have none the role that the request chose; then a doctor's savoir-faire
(R01) or a pharmacist's section (G05).

``codes.tsv`` has the OID of a table, a code and its words, one a line, from ANS's public value set J01
(XdsAuthorSpecialty). A code that is newer than the file has its words in the registration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from cardd.errors import (
    AssertionCodeUnknown,
    AssertionExpertiseMissing,
    AssertionRoleMissing,
    AssertionRoleUnknown,
    AssertionSectionMissing,
)
from cardd.formats.saml.request import Registration, Speaker, VihfCall
from cardd.values import Value

PROFESSION = "1.2.250.1.71.1.2.7"  # G15
TRAINING = "1.2.250.1.71.1.2.8"  # G16
EXPERTISE = "1.2.250.1.71.4.2.5"  # R01
SECTION = "1.2.250.1.71.4.2.6"  # G05
OTHERS = ("1.2.250.1.213.1.1.4.6", "1.2.250.1.213.1.6.1.107", "1.2.250.1.213.1.6.1.109")  # A00, R94 and R95
DOCTOR, PHARMACIST = "10", "21"
IN_TRAINING = "G16_"
TRAINING_CARD = "1"  # CPF, table G02
TABLE_NAMES: dict[str, dict[str, str]] = {
    "none": {},
    "words": {PROFESSION: "professions", EXPERTISE: "specialites RPPS"},
    "tables": {PROFESSION: "G15", EXPERTISE: "R01"},
}


class Role(Value):
    """A code, the OID of its table and its words."""

    code: str
    table: str
    words: str


def roles_of(speaker: Speaker, call: VihfCall, registration: Registration) -> Iterator[Role]:
    """Return one role or two.

    Raises AssertionRoleMissing, AssertionRoleUnknown, AssertionExpertiseMissing, AssertionSectionMissing,
    AssertionCodeUnknown.
    """
    table, code = _first(speaker, call)
    yield Role(code, table, _words_of(table, code, registration.labels))
    if table == PROFESSION and code == DOCTOR:
        if not speaker.specialty:
            raise AssertionExpertiseMissing
        yield _second(EXPERTISE, speaker.specialty, registration)
    if table == PROFESSION and code == PHARMACIST:
        yield _second(SECTION, _section(speaker, call), registration)


def _first(speaker: Speaker, call: VihfCall) -> tuple[str, str]:
    if speaker.profession:
        if call.role is not None:
            raise AssertionRoleUnknown(role=call.role[:64])
        return PROFESSION, speaker.profession
    if not call.role:
        raise AssertionRoleMissing
    code = call.role.removeprefix(IN_TRAINING)
    for table in _training_tables(speaker) if code != call.role else OTHERS:
        if _has(table, code):
            return table, code
    raise AssertionRoleUnknown(role=call.role[:64])


def _training_tables(speaker: Speaker) -> tuple[str, ...]:
    """A profession in training takes a card of those in training, or an organisation that vouches for the person.

    No other card, and nothing of Pro Santé Connect's, tells that somebody is: it would be the program's word alone.
    """
    may_be = speaker.identity.is_declared or speaker.identity.card_type == TRAINING_CARD
    return (TRAINING,) if may_be else ()


def _second(table: str, code: str, registration: Registration) -> Role:
    return Role(code, table, _words_of(table, code, registration.labels))


def _section(speaker: Speaker, call: VihfCall) -> str:
    """What card or PSC tell goes before what the request tells, and the two may not differ."""
    told = {each for each in (speaker.situation and speaker.situation.section, call.section) if each}
    if len(told) != 1:
        raise AssertionSectionMissing
    return told.pop()


@cache
def _words() -> dict[tuple[str, str], str]:
    """Each code of a table, by the table's OID, in words."""
    lines = Path(__file__).with_name("codes.tsv").read_text(encoding="utf-8").splitlines()
    return {(table, code): words for table, code, words in (line.split("\t") for line in lines)}


def _has(table: str, code: str) -> bool:
    """Return whether the table, as we have it, has the code."""
    return (table, code) in _words()


def _words_of(table: str, code: str, labels: Mapping[str, str]) -> str:
    """The code in words. Raises AssertionCodeUnknown for one that neither the table nor ``labels`` has."""
    words = _words().get((table, code)) or labels.get(code)
    if not words:
        raise AssertionCodeUnknown(table=table, value=code)
    return words
