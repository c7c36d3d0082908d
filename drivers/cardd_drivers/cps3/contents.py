"""Finding a card's serial number, PIN, keys and certificates: EF.SN, EF.DIR, ODF, then the directories.

No file identifier is assumed but those that ISO 7816-4 and 7816-15 fix; on real cards only the directories tell.
"""

from __future__ import annotations

from dataclasses import dataclass

from cardd.apdu import SW, Response
from cardd.errors import CardGarbled, CardIncomplete, CardRefused
from cardd.model import Algorithm, KeyPurpose, KeyRef, PinInfo
from cardd.tlv import parse_one
from cardd_drivers.cps3 import commands
from cardd_drivers.pkcs15.directory import Application, DirectoryType, applications, directory_paths
from cardd_drivers.pkcs15.files import Files
from cardd_drivers.pkcs15.objects import (
    CertificateFile,
    KeyUsage,
    Password,
    PrivateKey,
    certificate_files,
    passwords,
    private_keys,
)

DIRECTORIES_MAX = 4
PIN_LENGTH_MAX = 16
ALGORITHMS = (Algorithm.RS256,)
LABELS = {"CPS_PRIV_SIG": KeyPurpose.SIGNATURE, "CPS_PRIV_AUT": KeyPurpose.AUTHENTICATION}


@dataclass(frozen=True, slots=True)
class Contents:
    """What the directories tell. ``files`` has the certificates of ``keys`` only, each still to be read."""

    serial: str
    application: Application
    pin: PinInfo | None
    keys: tuple[KeyRef, ...]
    files: tuple[CertificateFile, ...]


def read_contents(files: Files, aid: bytes) -> Contents:
    """Read all directories of the application ``aid``: 10 APDUs when each fits one READ BINARY.

    Raises CardIncomplete when the application or a directory is missing, CardGarbled, CardRefused.
    """
    serial = _read_serial(files)
    application = _find_application(files, aid)
    files.select_application(application.aid)
    odf = files.read_directory(commands.SFI_ODF)
    listed_passwords = passwords(_read(files, application, odf, DirectoryType.AUTHENTICATION))
    pins = {password.id: password for password in listed_passwords if not password.is_unblocking}
    keys = _keys(private_keys(_read(files, application, odf, DirectoryType.PRIVATE_KEYS)), pins)
    listed = certificate_files(_read(files, application, odf, DirectoryType.CERTIFICATES))
    identifiers = {key.id for key in keys}
    return Contents(
        serial=serial,
        application=application,
        pin=_pin(keys, pins),
        keys=keys,
        files=tuple(file for file in listed if file.id.hex() in identifiers),
    )


def _read_serial(files: Files) -> str:
    """EF.SN by its short identifier; it stands in the master file, where a card is after its reset."""
    response = files.read_start(commands.SFI_SERIAL, commands.SERIAL_SIZE)
    if not _is_serial(response):
        files.select_master()
        response = files.read_start(commands.SFI_SERIAL, commands.SERIAL_SIZE)
    if not _is_serial(response):
        raise CardIncomplete(what="serial")
    value = parse_one(response.data).value
    if not value.startswith(commands.SERIAL_PREFIX) or len(value) < len(commands.SERIAL_PREFIX) + 2:
        raise CardGarbled(what="a serial number of another issuer")
    return value[len(commands.SERIAL_PREFIX) : -1].hex().upper()


def _is_serial(response: Response) -> bool:
    return response.sw in (SW.OK, SW.END_OF_FILE) and response.data[:1] == bytes((commands.SERIAL_TAG,))


def _find_application(files: Files, aid: bytes) -> Application:
    try:
        listed = applications(files.read_directory(commands.SFI_EF_DIR))
    except CardRefused as refusal:
        raise CardIncomplete(what="EF.DIR") from refusal
    found = next((application for application in listed if application.aid == aid), None)
    if found is None:
        raise CardIncomplete(what="application")
    return found


def _read(files: Files, application: Application, odf: bytes, wanted: DirectoryType) -> bytes:
    """The records of every directory of this type, one after the other."""
    paths = directory_paths(odf, wanted)
    if not paths:
        raise CardIncomplete(what=wanted.name.lower())
    if len(paths) > DIRECTORIES_MAX:
        raise CardGarbled(what="more directories than any card has")
    records = b""
    for path in paths:
        files.select_file(application.resolve(path))
        records += files.read_directory()
    return records


def _keys(listed: list[PrivateKey], pins: dict[bytes, Password]) -> tuple[KeyRef, ...]:
    keys = []
    for key in listed:
        purpose = _purpose(key)
        if purpose is None:
            continue
        if key.auth_id is not None and key.auth_id not in pins:
            raise CardIncomplete(what="pin")
        pin = pins[key.auth_id].reference if key.auth_id is not None else None
        keys.append(KeyRef(key.id.hex(), key.label, purpose, key.reference, ALGORITHMS, pin))
    return tuple(keys)


def _purpose(key: PrivateKey) -> KeyPurpose | None:
    """What a key is for, by its usage bits; by its label when they do not tell."""
    if key.usage & KeyUsage.NON_REPUDIATION:
        return KeyPurpose.SIGNATURE
    if key.usage & (KeyUsage.SIGN | KeyUsage.SIGN_RECOVER | KeyUsage.DECRYPT):
        return KeyPurpose.AUTHENTICATION
    return LABELS.get(key.label)


def _pin(keys: tuple[KeyRef, ...], pins: dict[bytes, Password]) -> PinInfo | None:
    """The holder's PIN: the one that the keys name."""
    wanted = {key.pin for key in keys}
    found = next((pin for pin in pins.values() if pin.reference in wanted), None)
    return PinInfo(found.reference, found.label, *_lengths(found), commands.PIN_TRIES) if found else None


def _lengths(password: Password) -> tuple[int, int]:
    """The directory's lengths; those of every CPx's PIN when the directory's make no sense."""
    if 1 <= password.minimum <= password.maximum <= PIN_LENGTH_MAX:
        return password.minimum, password.maximum
    return commands.PIN_LENGTHS
