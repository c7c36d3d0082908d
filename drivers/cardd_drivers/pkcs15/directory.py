"""Where things are: the applications that EF.DIR lists, and the directory files that an application's ODF lists.

Source: ISO/IEC 7816-4 section 8.2.1 (EF.DIR), ISO/IEC 7816-15 section 8.3 (ODF).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

from cardd.errors import CardGarbled
from cardd.tlv import Tlv, parse
from cardd_drivers.pkcs15 import asn1

APPLICATION_TEMPLATE = 0x61
APPLICATION_ID = 0x4F
APPLICATION_LABEL = 0x50
APPLICATION_PATH = 0x51
AID_MAX = 16
RECORDS_MAX = 64

MASTER_FILE = bytes.fromhex("3F00")


class DirectoryType(IntEnum):
    """What a directory file lists: the tag under which the ODF names it."""

    PRIVATE_KEYS = 0xA0
    CERTIFICATES = 0xA4
    DATA = 0xA7
    AUTHENTICATION = 0xA8


@dataclass(frozen=True, slots=True)
class Application:
    """One application of the card: its DF name, its label and the path of its DF (empty when EF.DIR has none)."""

    aid: bytes
    label: str
    path: bytes

    def resolve(self, path: bytes) -> bytes:
        """The path from the master file of a file that this application names, absolutely or relative to its DF."""
        return path if path.startswith(MASTER_FILE) else (self.path or MASTER_FILE) + path


def applications(ef_dir: bytes) -> list[Application]:
    """The applications in EF.DIR, in its order. Raises CardGarbled."""
    templates = islice(parse(ef_dir, padded=True), RECORDS_MAX)
    return [_application(found) for found in templates if found.tag == APPLICATION_TEMPLATE]


def _application(template: Tlv) -> Application:
    fields = template.children
    aid = asn1.first(fields, APPLICATION_ID) or b""
    if not 1 <= len(aid) <= AID_MAX:
        raise CardGarbled(what="an application without a name")
    path = asn1.first(fields, APPLICATION_PATH)
    return Application(
        aid=aid,
        label=asn1.label(asn1.first(fields, APPLICATION_LABEL) or b""),
        path=asn1.path(path) if path else b"",
    )


def directory_paths(odf: bytes, wanted: DirectoryType) -> list[bytes]:
    """The paths of the directory files of one type, in the ODF's order. Raises CardGarbled."""
    entries = islice(parse(odf, padded=True), RECORDS_MAX)
    return [_path(entry) for entry in entries if entry.tag == wanted]


def _path(entry: Tlv) -> bytes:
    found = entry.find(asn1.SEQUENCE, asn1.OCTET_STRING)
    if found is None:
        raise CardGarbled(what="a directory without a path")
    return asn1.path(found.value)
