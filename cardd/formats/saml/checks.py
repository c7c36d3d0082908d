"""Whether what card, login, registration and request say may stand in an assertion."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from cardd.errors import (
    AlgorithmUnsupported,
    AssertionInsFormat,
    AssertionInsKey,
    AssertionInsOid,
    AssertionNationalIdInvalid,
    AssertionRegistrationIncomplete,
    AssertionSectorMissing,
    AssertionSignerOther,
    AssertionStructureMissing,
    AssertionValueInvalid,
    CardGarbled,
)
from cardd.formats.certificate import (
    COMMON_NAME,
    GIVEN_NAME,
    KEYWORDS,
    SURNAME,
    TITLE,
    UNIT,
    CertificateFacts,
    require_signing,
)
from cardd.formats.prepared import Signer
from cardd.formats.saml.request import Patient, Speaker
from cardd.model import Algorithm, Situation

TEXT_MAX = 256
RPPS = re.compile(r"8([0-9]{11})")
OTHER_ID = re.compile(r"[0134569][0-9A-Za-z/._-]{7,63}")
STRUCTURE = re.compile(r"0[0-9]{8,14}|1[0-9][0-9AB][0-9]{7}|3[0-9]{14}|4[0-9]{14}")
SECTOR = re.compile(r"SA[0-9]{2}")
ISSUER = KEYWORDS | {GIVEN_NAME: "GN", SURNAME: "SN", TITLE: "T"}  # the keywords that the samples have
NIR, NIA, TEST = "1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10"
OIDS = (NIR, NIA, TEST)
FORM = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{6}[0-9]{2}")


def signing_certificate(signer: Signer, now: datetime) -> CertificateFacts:
    """The certificate of a key that may sign an assertion now.

    Raises as ``require_signing``, and AlgorithmUnsupported but for RSA with SHA-256.
    """
    if signer.algorithm is not Algorithm.RS256:
        raise AlgorithmUnsupported(algorithm=signer.algorithm)
    return require_signing(signer, now)


def issuer_name(certificate: CertificateFacts) -> str:
    """The subject of the signing certificate, as Issuer has it. Raises CardGarbled."""
    name = certificate.subject.written(ISSUER)
    if not name.isprintable():
        raise CardGarbled(what="certificate")
    return name


def check_person(certificate: CertificateFacts, national_id: str) -> None:
    """The card is the speaker's own. Raises AssertionSignerOther."""
    if national_id not in certificate.subject.values(COMMON_NAME):
        raise AssertionSignerOther


def check_organisation(certificate: CertificateFacts, identifier: str) -> None:
    """The certificate is this organisation's. Raises AssertionSignerOther."""
    if identifier not in (unit.strip() for unit in certificate.subject.values(UNIT)):
        raise AssertionSignerOther


def text(value: str, what: str) -> str:
    """A value that XML can hold and a person can read. Raises AssertionValueInvalid."""
    if not value.strip() or len(value) > TEXT_MAX or not value.isprintable():
        raise AssertionValueInvalid(what=what)
    return value


def registered(value: str | None, what: str) -> str:
    """A value of the registration. Raises AssertionRegistrationIncomplete, AssertionValueInvalid."""
    if not value:
        raise AssertionRegistrationIncomplete(what=what)
    return text(value, what)


def national_id(speaker: Speaker) -> str:
    """The PS_IdNat: an RPPS number whose key fits, or another of table G08. Raises AssertionNationalIdInvalid."""
    told = speaker.identity.national_id
    rpps = RPPS.fullmatch(told)
    if not (is_luhn(rpps[1]) if rpps else OTHER_ID.fullmatch(told)):
        raise AssertionNationalIdInvalid
    return told


def is_luhn(digits: str) -> bool:
    """Return whether the last digit fits the others (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def structure(identifier: str | None) -> str:
    """A Struct_IdNat. Raises AssertionStructureMissing."""
    if not identifier or not STRUCTURE.fullmatch(identifier):
        raise AssertionStructureMissing
    return identifier


def place_of(situation: Situation | None) -> str | None:
    """Return where the person practises: Struct_IdNat as told, or FINESS or SIRET behind the digit of its kind."""
    if situation is None:
        return None
    if situation.structure:
        return situation.structure
    if situation.finess:
        return f"1{situation.finess}"
    return f"3{situation.siret}" if situation.siret else None


def sector(speaker: Speaker) -> str:
    """``SAxx``. Raises AssertionSectorMissing."""
    if not speaker.sector or not SECTOR.fullmatch(speaker.sector):
        raise AssertionSectorMissing
    return speaker.sector


def instant(time: datetime) -> str:
    """UTC with milliseconds, as in every sample."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def key_of(number: str) -> str:
    """The two digits behind these 13 characters."""
    digits = number.replace("2A", "19").replace("2B", "18")
    return f"{97 - int(digits) % 97:02}"


def resource_id(patient: Patient) -> str:
    """The patient as the DMP names them. Raises AssertionInsFormat, AssertionInsKey, AssertionInsOid."""
    if patient.oid not in OIDS:
        raise AssertionInsOid(oid=patient.oid[:64], known=", ".join(OIDS))
    if not FORM.fullmatch(patient.ins):
        raise AssertionInsFormat
    if patient.ins[13:] != key_of(patient.ins[:13]):
        raise AssertionInsKey
    return f"{patient.ins}^^^&{patient.oid}&ISO^NH"
