"""Which structure an organisation's certificate stands for.

Its identifier stands in an OU of the subject (the VIHF facts: Identifiant_Structure). Its first digit tells what it is,
or, with a space behind four digits, the register it comes from (ISO 6523; 0002 is SIRENE). What fits none of these is
passed through as ``other``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cardd.errors import CardIncomplete
from cardd.identity.cpx import is_test
from cardd.model import Identity, Organisation

if TYPE_CHECKING:
    from cardd.identity.certificate import PlainCertificate

COMMON_NAME, ORGANISATION = "2.5.4.3", "2.5.4.10"
FORMS = (
    ("siret", re.compile(r"3\d{14}|0002 \d{14}")),
    ("siren", re.compile(r"0002 \d{9}")),
    ("finess", re.compile(r"1\d[0-9AB]\d{7}")),
    ("rpps", re.compile(r"4\d{14}")),
    ("adeli", re.compile(r"0\d{9,}")),
)


def organisation_of(der: bytes) -> Organisation:
    """The structure. Raises CardGarbled, CardIncomplete when the certificate names none."""
    certificate = _read(der)
    fields = certificate.subject_fields
    kind, identifier = _identifier(certificate.units)
    return Organisation(identifier, kind, fields.get(ORGANISATION) or fields.get(COMMON_NAME) or identifier)


def acting_identity(der: bytes, acting: Identity) -> Identity:
    """The session's identity: the person as declared, the structure and the test mark as the certificate has them."""
    from dataclasses import replace  # noqa: PLC0415

    extensions = _read(der).extensions
    return replace(acting, is_declared=True, organisation=organisation_of(der), is_test=is_test(extensions))


def _identifier(units: tuple[str, ...]) -> tuple[str, str]:
    for kind, form in FORMS:
        for unit in units:
            if form.fullmatch(unit.strip()):
                return kind, unit.strip()
    if not units:
        raise CardIncomplete(what="OU")
    return "other", units[0]


def _read(der: bytes) -> PlainCertificate:
    from cardd.identity.certificate import read  # noqa: PLC0415 - cryptography would slow the daemon's start

    return read(der)
