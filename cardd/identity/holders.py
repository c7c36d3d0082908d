"""Who a certificate speaks for: a professional, as a CPx's has it, or an organisation.

Every field of a CPx may be absent (the profiles of CPF, CPE and of the technical certificate are not known) but the
national identifier: without it there is nobody to speak for. It is the CN, with the prefix of its type (table G08:
0 ADELI, 3 FINESS, 4 SIREN, 5 SIRET, 8 RPPS, 9 student), and stands in the UPN of older authentication certificates too;
a name that has not this form is none. Codes stay codes; their words are in the ANS tables.

An organisation's identifier stands in an OU of the subject (the VIHF facts: Identifiant_Structure). Its first digit
tells what it is, or, with a space behind four digits, the register it comes from (ISO 6523; 0002 is SIRENE). What fits
none of these is passed through as ``other``.

Source: the card facts, section "Certificates".
"""

from __future__ import annotations

import re

from cardd.errors import CardGarbled, CardIncomplete, HolderUnknown
from cardd.formats.certificate import (
    COMMON_NAME,
    GIVEN_NAME,
    ORGANISATION,
    SURNAME,
    TITLE,
    UNIT,
    CertificateFacts,
    facts_of,
)
from cardd.model import Identity, Organisation, shown
from cardd.tlv import Tlv
from cardd.values import replace

CARD_TYPE = "1.2.250.1.71.1.2.2"
CARD_NUMBER = "1.2.250.1.71.1.2.3"
CARD_CATEGORY = "1.2.250.1.71.1.2.5"
PROFESSION = "1.2.250.1.71.1.2.7"
SPECIALTY = "1.2.250.1.71.4.2.5"

ALTERNATIVE_NAMES = "2.5.29.17"
UPN, UPN_DOMAIN = bytes.fromhex("2B060104018237140203"), "carte-cps."  # 1.3.6.1.4.1.311.20.2.3

INTEGER, OCTET_STRING, OBJECT_IDENTIFIER, SEQUENCE, OTHER_NAME = 0x02, 0x04, 0x06, 0x30, 0xA0
STRINGS = (0x0C, 0x13, 0x16)  # UTF8String, PrintableString, IA5String
TEXT_MAX = 128
NUMBER_SIZE_MAX = 4
TEST_CARD = 0x80  # table G01: bit 8 marks test cards and test software certificates
TEST_AUTHORITY = re.compile(r"\b(TEST|SIMULATION)\b")  # IGC-Santé's of tests ("IGC-SANTE TEST"), and the simulators'

NATIONAL_ID = re.compile(r"[034589][0-9A-Za-z]{8,}(?:/\S+)?")
FORMS = (
    ("siret", re.compile(r"3\d{14}|0002 \d{14}")),
    ("siren", re.compile(r"0002 \d{9}")),
    ("finess", re.compile(r"1\d[0-9AB]\d{7}")),
    ("rpps", re.compile(r"4\d{14}")),
    ("adeli", re.compile(r"0\d{9,}")),
)


def identity_of(der: bytes) -> Identity:
    """The holder, from a certificate of the card. Raises CardGarbled, HolderUnknown."""
    facts = facts_of(der)
    return Identity(
        national_id=_national_id(facts),
        family_name=_clean(facts.subject.first(SURNAME)) or "",
        given_name=_clean(facts.subject.first(GIVEN_NAME)) or "",
        title=_clean(facts.subject.first(TITLE)),
        profession=_number(facts, PROFESSION),
        specialty=_specialty(facts),
        card_type=_number(facts, CARD_TYPE),
        card_number=_text(facts.extension(CARD_NUMBER)),
        is_test=is_test(facts),
    )


def organisation_of(der: bytes) -> Organisation:
    """The structure. Raises CardGarbled, CardIncomplete when the certificate names none."""
    subject = facts_of(der).subject
    kind, identifier = _identifier(subject.values(UNIT))
    return Organisation(identifier, kind, subject.first(ORGANISATION) or subject.first(COMMON_NAME) or identifier)


def acting_identity(der: bytes, acting: Identity) -> Identity:
    """The session's identity: the person as declared, the structure and the test mark as the certificate has them."""
    return replace(acting, is_declared=True, organisation=organisation_of(der), is_test=is_test(facts_of(der)))


def structure_identity(der: bytes) -> Identity:
    """The identity of a session in which nobody says who the person is: the structure alone. Raises as above."""
    organisation = organisation_of(der)
    return Identity(
        organisation.identifier, organisation.name, "", organisation=organisation, is_test=is_test(facts_of(der))
    )


def is_test(facts: CertificateFacts) -> bool:
    """Return whether the certificate is of a test card, or a test software certificate."""
    category = facts.value(CARD_CATEGORY, OCTET_STRING)
    return bool(category and category[0] & TEST_CARD)


def is_of_tests(facts: CertificateFacts) -> bool:
    """Return whether a certificate may go to test environments alone: marked so, or of an authority of tests."""
    issuer = (text for kind in (ORGANISATION, UNIT, COMMON_NAME) for text in facts.issuer.values(kind))
    return is_test(facts) or any(TEST_AUTHORITY.search(text) for text in issuer)


def _identifier(units: tuple[str, ...]) -> tuple[str, str]:
    for kind, form in FORMS:
        for unit in units:
            if form.fullmatch(unit.strip()):
                return kind, unit.strip()
    if not units:
        raise CardIncomplete(what="OU")
    return "other", units[0]


def _national_id(facts: CertificateFacts) -> str:
    """Return the CN, or what the UPN has in the place of a CN that is a name. Raises HolderUnknown."""
    name = _clean(facts.subject.first(COMMON_NAME))
    for found in (name, _principal(facts) if name else None):
        if found and NATIONAL_ID.fullmatch(found):
            return found
    raise HolderUnknown


def _principal(facts: CertificateFacts) -> str | None:
    """Return the account of a UPN ``<id>@carte-cps.fr``, in a GeneralName otherName (RFC 5280, section 4.2.1.6)."""
    names = facts.extension(ALTERNATIVE_NAMES)
    for name in names.children if names else ():
        if name.tag != OTHER_NAME or [part.value for part in name.children if part.tag == OBJECT_IDENTIFIER] != [UPN]:
            continue
        value = name.find(OTHER_NAME)
        account, _, domain = (_text(value.children[0]) or "" if value and value.children else "").partition("@")
        if domain.startswith(UPN_DOMAIN):
            return account
    return None


def _number(facts: CertificateFacts, oid: str) -> str | None:
    value = facts.value(oid, INTEGER)
    if value is None:
        return None
    if not 1 <= len(value) <= NUMBER_SIZE_MAX:
        raise CardGarbled(what="certificate")
    return str(int.from_bytes(value, "big", signed=True))


def _specialty(facts: CertificateFacts) -> str | None:
    """The first savoir-faire of the sequence."""
    codes = facts.extension(SPECIALTY)
    if codes is None or codes.tag != SEQUENCE:
        return None
    return next((text for code in codes.children if (text := _text(code))), None)


def _text(found: Tlv | None) -> str | None:
    if found is None or found.tag not in STRINGS:
        return None
    return _clean(found.value[: 4 * TEXT_MAX].decode("utf-8", "replace"))


def _clean(text: str | None) -> str | None:
    """Text that may be shown and logged: no control characters, and no longer than any field of a CPx."""
    if text is None:
        return None
    return shown(text[:TEXT_MAX]).strip() or None
