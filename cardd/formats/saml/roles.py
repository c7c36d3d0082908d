"""The professional's roles (subject:role): one, or two where the profession demands it. Source: the VIHF facts.

First the profession (G15), or for those who have none the role that the request chose; then a doctor's savoir-faire
(R01) or a pharmacist's section (G05).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cardd.errors import (
    AssertionExpertiseMissing,
    AssertionRoleMissing,
    AssertionRoleUnknown,
    AssertionSectionMissing,
)
from cardd.formats.saml import codes
from cardd.formats.saml.request import Registration, Speaker, VihfCall

DOCTOR, PHARMACIST = "10", "21"
IN_TRAINING = "G16_"
TRAINING_CARD = "1"  # CPF, table G02
TABLE_NAMES: dict[str, dict[str, str]] = {
    "none": {},
    "words": {codes.PROFESSION: "professions", codes.EXPERTISE: "specialites RPPS"},
    "tables": {codes.PROFESSION: "G15", codes.EXPERTISE: "R01"},
}


@dataclass(frozen=True, slots=True)
class Role:
    """A code, the OID of its table and its words."""

    code: str
    table: str
    words: str


def roles_of(speaker: Speaker, call: VihfCall, registration: Registration) -> Iterator[Role]:
    """One role or two.

    Raises AssertionRoleMissing, AssertionRoleUnknown, AssertionExpertiseMissing, AssertionSectionMissing,
    AssertionCodeUnknown.
    """
    table, code = _first(speaker, call)
    yield Role(code, table, codes.words_of(table, code, registration.labels))
    if table == codes.PROFESSION and code == DOCTOR:
        if not speaker.specialty:
            raise AssertionExpertiseMissing
        yield _second(codes.EXPERTISE, speaker.specialty, registration)
    if table == codes.PROFESSION and code == PHARMACIST:
        yield _second(codes.SECTION, _section(speaker, call), registration)


def _first(speaker: Speaker, call: VihfCall) -> tuple[str, str]:
    if speaker.profession:
        if call.role is not None:
            raise AssertionRoleUnknown(role=call.role[:64])
        return codes.PROFESSION, speaker.profession
    if not call.role:
        raise AssertionRoleMissing
    code = call.role.removeprefix(IN_TRAINING)
    for table in _tables(speaker) if code != call.role else codes.OTHERS:
        if codes.has(table, code):
            return table, code
    raise AssertionRoleUnknown(role=call.role[:64])


def _tables(speaker: Speaker) -> tuple[str, ...]:
    """A profession in training takes a card of those in training, or an organisation that vouches for the person.

    No other card, and nothing of Pro Santé Connect's, tells that somebody is: it would be the program's word alone.
    """
    may_be = speaker.identity.is_declared or speaker.identity.card_type == TRAINING_CARD
    return (codes.TRAINING,) if may_be else ()


def _second(table: str, code: str, registration: Registration) -> Role:
    return Role(code, table, codes.words_of(table, code, registration.labels))


def _section(speaker: Speaker, call: VihfCall) -> str:
    """What card or PSC tell goes before what the request tells, and the two may not differ."""
    told = {each for each in (speaker.situation and speaker.situation.section, call.section) if each}
    if len(told) != 1:
        raise AssertionSectionMissing
    return told.pop()
