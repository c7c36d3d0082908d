"""The patient's identifier (INS): 13 characters and a key of two digits, and the OID that tells what it is.

The key is 97 less the remainder of the number by 97; Corsica's 2A and 2B count as 19 and 18 (INSEE). Letters stand
nowhere else.
"""

from __future__ import annotations

import re

from cardd.errors import AssertionInsFormat, AssertionInsKey, AssertionInsOid
from cardd.formats.saml.request import Patient

NIR, NIA, TEST = "1.2.250.1.213.1.4.8", "1.2.250.1.213.1.4.9", "1.2.250.1.213.1.4.10"
OIDS = (NIR, NIA, TEST)
FORM = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[AB])[0-9]{6}[0-9]{2}")


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
