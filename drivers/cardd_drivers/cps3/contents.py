"""Finding a card's serial number, PIN, keys, certificates and situations: EF.SN, EF.DIR, ODF, then the directories.

No file identifier is assumed but EF.SN's and those that ISO 7816-4 and 7816-15 fix; on real cards only the directories
tell. What a card does not tell in the shortest way is asked in the next one: a file without a short identifier is
selected by its path, an application without EF.DIR by its name, and a file whose whole path is not known from inside
its application. A card without EF.SN has no serial number: nothing depends on it.

The holder's situations of practice are the objects CPS_ACTIVITY_01_PS to CPS_ACTIVITY_16_PS. Each is EE with 84 (the
structure's name), 85 (its Struct_IdNat) and 86 (code of the sector, table R02). What else may stand in one is not
known, and left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import ClassVar

from cardd.apdu import SW, Response
from cardd.errors import CardGarbled, CardIncomplete, CardRefused
from cardd.model import Algorithm, KeyPurpose, KeyRef, PinInfo, Situation
from cardd.tlv import parse_one
from cardd.values import Value
from cardd_drivers.pkcs15 import asn1
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import (
    Application,
    CertificateFile,
    DataFile,
    DirectoryType,
    KeyUsage,
    Password,
    PrivateKey,
    applications,
    certificate_files,
    data_files,
    directory_paths,
    passwords,
    private_keys,
)

AID = bytes.fromhex("E828BD080F8025000001FF0010")
CONTACTLESS_AID = bytes.fromhex("E828BD080F8025000001FF0020")

SFI_SERIAL, EF_SN = 0x1C, bytes.fromhex("3F00D003")
SFI_EF_DIR, EF_DIR = 0x1E, bytes.fromhex("3F002F00")
SFI_ODF, ODF = 0x11, bytes.fromhex("5031")  # in the application
SERIAL_SIZE = 12
SERIAL_TAG = 0x5A
SERIAL_PREFIX = bytes.fromhex("8025000001")

PIN_TRIES = 3
PIN_LENGTHS = (4, 8)
PUK_TRIES = 10
PUK_LENGTHS = (8, 8)

DIRECTORIES_MAX = 4
PIN_LENGTH_MAX = 16
LABELS = {
    "CPS_PRIV_SIG": KeyPurpose.SIGNATURE,
    "CPS_PRIV_AUT": KeyPurpose.AUTHENTICATION,
    "CPS_PRIV_TECH_AUT": KeyPurpose.TECHNICAL,
}

TEMPLATE, NAME, STRUCTURE, SECTOR = 0xEE, 0x84, 0x85, 0x86

_LABEL = re.compile(r"CPS_ACTIVITY_(\d\d)_PS")


class Contents(Value):
    """What the directories tell.

    ``files`` has the certificates of ``keys`` only, each still to be read; ``bits`` the length of each key's modulus,
    by the key's identifier, 0 where the directory does not tell; ``odf`` says where the other directories are.
    """

    serial: str
    application: Application
    pin: PinInfo | None
    puk: PinInfo | None
    keys: tuple[KeyRef, ...]
    files: tuple[CertificateFile, ...]
    bits: Mapping[str, int]
    odf: bytes


class Directories:
    """Reads the directories of one card. A variant overrides the constants and the methods above ``_records``."""

    aid = AID
    pin_tries = PIN_TRIES
    has_short_ids = True  # until the card knows none of them
    algorithms: ClassVar[Mapping[KeyPurpose, tuple[Algorithm, ...]]] = dict.fromkeys(KeyPurpose, (Algorithm.RS256,))

    def __init__(self, files: Files) -> None:
        self._files = files

    def read(self, serial: str) -> Contents:
        """Read all directories of the application: 9 APDUs when each fits one READ BINARY.

        Raises CardIncomplete when the application or a directory is missing, CardGarbled, CardRefused.
        """
        application = self._application()
        odf = self._odf(application)
        listed = self._passwords(application, odf)
        pins = {password.id: password for password in listed if not password.is_unblocking}
        private = private_keys(self._records(application, odf, DirectoryType.PRIVATE_KEYS))
        keys = tuple(self._keys(private, pins))
        files = certificate_files(self._records(application, odf, DirectoryType.CERTIFICATES))
        identifiers = {key.id for key in keys}
        return Contents(
            serial=serial,
            application=application,
            pin=self._pin(keys, pins),
            puk=self._puk(listed),
            keys=keys,
            files=tuple(file for file in files if file.id.hex() in identifiers),
            bits={key.id.hex(): key.bits for key in private},
            odf=odf,
        )

    def data(self, contents: Contents) -> list[DataFile]:
        """Return the data objects that the card lists; none where it has no such directory. Raises CardGarbled."""
        try:
            return data_files(self._records(contents.application, contents.odf, DirectoryType.DATA))
        except CardIncomplete:
            return []

    def serial(self) -> str:
        """Return the serial number, empty for a card without. Raises CardGarbled.

        EF.SN is read by its short identifier; it stands in the master file, where a card is after its reset.
        """
        if self.has_short_ids:
            response = self._files.read_start(SFI_SERIAL, SERIAL_SIZE)
            if not _is_serial(response):
                self._files.select_master()
                response = self._files.read_start(SFI_SERIAL, SERIAL_SIZE)
            if _is_serial(response):
                return serial_in(response.data)
        try:
            self._files.select_file(EF_SN)
            serial = serial_in(self._files.read_object())
        except (CardRefused, CardGarbled):
            return ""
        self.has_short_ids = False
        return serial

    def _ef_dir(self) -> bytes | None:
        """EF.DIR, in the master file; None for a card without."""
        try:
            return self._directory(SFI_EF_DIR, lambda: self._files.select_file(EF_DIR))
        except CardRefused:
            return None

    def _odf(self, application: Application) -> bytes:
        """Return the ODF, in the application."""
        if self.has_short_ids:
            self._files.select_application(application.aid)
        return self._directory(SFI_ODF, lambda: self._files.select_listed(application, ODF))

    def _directory(self, short_id: int, select: Callable[[], None]) -> bytes:
        """Return the directory of this short identifier; where the card does not know it, the one that is selected."""
        if self.has_short_ids:
            with suppress(CardRefused):
                return self._files.read_directory(short_id)
        select()
        content = self._files.read_directory()
        self.has_short_ids = False
        return content

    def _passwords(self, application: Application, odf: bytes) -> list[Password]:
        return passwords(self._records(application, odf, DirectoryType.AUTHENTICATION))

    def _records(self, application: Application, odf: bytes, wanted: DirectoryType) -> bytes:
        """Return the records of every directory of this type, one after the other."""
        paths = directory_paths(odf, wanted)
        if not paths:
            raise CardIncomplete(what=wanted.name.lower())
        if len(paths) > DIRECTORIES_MAX:
            raise CardGarbled(what="more directories than any card has")
        records = b""
        for path in paths:
            self._files.select_listed(application, path)
            records += self._files.read_directory()
        return records

    def _application(self) -> Application:
        ef_dir = self._ef_dir()
        if ef_dir is None:
            return Application(self.aid, label="", path=b"")
        found = next((application for application in applications(ef_dir) if application.aid == self.aid), None)
        if found is None:
            raise CardIncomplete(what="application")
        return found

    def _keys(self, listed: list[PrivateKey], pins: dict[bytes, Password]) -> Iterator[KeyRef]:
        for key in listed:
            purpose = _purpose(key)
            if purpose is None:
                continue
            if key.auth_id is not None and key.auth_id not in pins:
                raise CardIncomplete(what="pin")
            pin = pins[key.auth_id].reference if key.auth_id is not None else None
            proves = purpose is KeyPurpose.AUTHENTICATION
            yield KeyRef(
                key.id.hex(),
                key.label,
                purpose,
                key.reference,
                self.algorithms[purpose],
                pin,
                signs_any_hash=proves,
                decrypts=proves and bool(key.usage & KeyUsage.DECRYPT),
            )

    def _pin(self, keys: tuple[KeyRef, ...], pins: dict[bytes, Password]) -> PinInfo | None:
        """Return the holder's PIN: the one that the keys name."""
        wanted = {key.pin for key in keys}
        found = next((pin for pin in pins.values() if pin.reference in wanted), None)
        return _described(found, PIN_LENGTHS, self.pin_tries) if found else None

    def _puk(self, listed: list[Password]) -> PinInfo | None:
        """Return the code that unblocks it."""
        found = next((password for password in listed if password.is_unblocking), None)
        return _described(found, PUK_LENGTHS, PUK_TRIES) if found else None


def serial_in(ef_sn: bytes) -> str:
    """Return the eight digits that tell a card from the others of its issuer. Raises CardGarbled."""
    value = parse_one(ef_sn).value
    if not value.startswith(SERIAL_PREFIX) or len(value) < len(SERIAL_PREFIX) + 2:
        raise CardGarbled(what="a serial number of another issuer")
    return value[len(SERIAL_PREFIX) : -1].hex().upper()


def _is_serial(response: Response) -> bool:
    return response.sw in (SW.OK, SW.END_OF_FILE) and response.data[:1] == bytes((SERIAL_TAG,))


def _purpose(key: PrivateKey) -> KeyPurpose | None:
    """Return what a key is for, by its usage bits; by its label when they do not tell.

    Whatever else they say, a key that no PIN protects is a technical one: nothing of the holder's is.
    """
    purpose = LABELS.get(key.label)
    if key.usage & KeyUsage.NON_REPUDIATION:
        purpose = KeyPurpose.SIGNATURE
    elif key.usage & (KeyUsage.SIGN | KeyUsage.SIGN_RECOVER | KeyUsage.DECRYPT):
        purpose = KeyPurpose.AUTHENTICATION
    return KeyPurpose.TECHNICAL if purpose and key.auth_id is None else purpose


def _described(password: Password, usual: tuple[int, int], tries: int) -> PinInfo:
    """Return the PIN with the directory's lengths, or every CPx's where the directory's make no sense."""
    lengths = password.minimum, password.maximum
    if not 1 <= password.minimum <= password.maximum <= PIN_LENGTH_MAX:
        lengths = usual
    return PinInfo(password.reference, password.label, *lengths, tries)


def number_of(label: str) -> str | None:
    """Return the number of the situation in an object of this label, without leading zeros; None for others."""
    found = _LABEL.fullmatch(label)
    return str(int(found[1])) if found else None


def situation(number: str, content: bytes) -> Situation:
    """Return the object's situation. Raises CardGarbled."""
    template = parse_one(content)
    if template.tag != TEMPLATE:
        raise CardGarbled(what="a situation of practice that is none")
    fields = template.children
    name, structure, sector = (asn1.label(asn1.first(fields, tag) or b"") or None for tag in (NAME, STRUCTURE, SECTOR))
    return Situation(number, sector=sector, structure=structure, structure_name=name)
