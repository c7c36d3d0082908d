"""A professional's situations of practice, as a CPx has them: objects CPS_ACTIVITY_01_PS to CPS_ACTIVITY_16_PS.

Each is EE with 84 (the structure's name), 85 (its Struct_IdNat) and 86 (code of the sector, table R02). What else may
stand in it is not known, and left alone.
"""

from __future__ import annotations

import re

from cardd.errors import CardGarbled
from cardd.model import Situation
from cardd.tlv import parse_one
from cardd_drivers.pkcs15 import asn1

TEMPLATE, NAME, STRUCTURE, SECTOR = 0xEE, 0x84, 0x85, 0x86

_LABEL = re.compile(r"CPS_ACTIVITY_(\d\d)_PS")


def number_of(label: str) -> str | None:
    """The number of the situation that an object of this label holds, without zeros before it; None for any other."""
    found = _LABEL.fullmatch(label)
    return str(int(found[1])) if found else None


def situation(number: str, content: bytes) -> Situation:
    """The object's situation. Raises CardGarbled."""
    template = parse_one(content)
    if template.tag != TEMPLATE:
        raise CardGarbled(what="a situation of practice that is none")
    fields = template.children
    name, structure, sector = (asn1.label(asn1.first(fields, tag) or b"") or None for tag in (NAME, STRUCTURE, SECTOR))
    return Situation(number, sector=sector, structure=structure, structure_name=name)
