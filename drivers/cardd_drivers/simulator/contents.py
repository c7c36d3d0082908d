"""What stands in the files of a simulated CPS3. Source: the emulation facts, section 2.

The file identifiers below 0001 are those that worked, not those of a real card: no driver may rely on them. What real
CPS_DATA, CPS_ID_CARD and CPS_NAME_PS hold is not known: theirs is plain text, or zeros.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from cardd.tlv import encode
from cardd_drivers.simulator import objects
from cardd_drivers.simulator.files import ADMINISTRATION, ALWAYS, MASTER_FILE, PIN, File, Folder
from cardd_drivers.simulator.objects import DataEntry, KeyEntry
from cardd_drivers.simulator.profiles import Activity
from cardd_drivers.simulator.store import Credential, Issued

ROOT_AID = bytes.fromhex("8025000001FF0100")
CONTACT_AID = bytes.fromhex("E828BD080F8025000001FF0010")
CONTACTLESS_AID = bytes.fromhex("E828BD080F8025000001FF0020")
APPLICATION = 0x0001
SIGNATURE_KEY, AUTHENTICATION_KEY = 0x81, 0x82
SIGNATURE_ID, AUTHENTICATION_ID = CONTACT_AID + b"\x01", CONTACT_AID + b"\x02"

EF_ATR = bytes.fromhex(
    "804301B8460404B0ECC147039401804F088025000001FF0100E01002020104020201040202010002020100780806062B8122F8780282029000"
)
CPS_DATA_SIZE = 512


def card_files(card: Issued, pin_length: int) -> Folder:
    """The whole file system of one card."""
    application = Folder(
        APPLICATION, CONTACT_AID, [*_directories(card, pin_length), *_certificates(card), *_data(card)]
    )
    locked = {"update": ADMINISTRATION, "delete": ADMINISTRATION}
    return Folder(
        MASTER_FILE,
        ROOT_AID,
        [
            File(0x2F00, bytearray(_ef_dir()), 0x1E, **locked),
            File(0x2F01, bytearray(EF_ATR), 0x1D, **locked),
            File(0xD003, bytearray(_ef_sn(card.serial)), 0x1C),
            application,
        ],
    )


def _ef_dir() -> bytes:
    """The contactless record first: OpenSC moves the second application that it knows to the front."""
    return _application(CONTACTLESS_AID, b"CPS3CL", 0x0002) + _application(CONTACT_AID, b"CPS3", APPLICATION)


def _application(aid: bytes, label: bytes, folder: int) -> bytes:
    return encode(0x61, encode(0x4F, aid) + encode(0x50, label) + encode(0x51, _path(folder)))


def _ef_sn(serial: str) -> bytes:
    return encode(0x5A, bytes.fromhex(f"8025000001{serial}0F"))


def _path(*identifiers: int) -> bytes:
    return b"".join(identifier.to_bytes(2, "big") for identifier in (MASTER_FILE, *identifiers))


def _in_application(identifier: int) -> bytes:
    return _path(APPLICATION, identifier)


def _directories(card: Issued, pin_length: int) -> list[File]:
    odf = objects.object_directory(
        {
            objects.AUTHENTICATION_OBJECTS: _in_application(0x7001),
            objects.PRIVATE_KEYS: _in_application(0x7002),
            objects.CERTIFICATES: _in_application(0x7005),
            objects.DATA_OBJECTS: _in_application(0x7006),
        }
    )
    return [
        File(0x5031, bytearray(odf), 0x11),
        File(0x5032, bytearray(objects.token_info(f"CPS3v3-{card.card_number}")), 0x12),
        File(0x7001, bytearray(objects.authentication_objects(pin_length))),
        File(0x7002, bytearray(objects.private_keys(_keys(), CONTACT_AID))),
        File(0x7005, bytearray(_certificate_directory())),
        File(0x7006, bytearray(b"".join(objects.data_entry(entry) for entry in _data_entries(card)))),
    ]


def _keys() -> list[KeyEntry]:
    compute, decipher = bytes.fromhex("0204"), bytes.fromhex("060040")
    authenticate = bytes.fromhex("0001")
    rule, encoded = objects.key_rule, objects.SEQUENCE
    return [
        KeyEntry("CPS_PRIV_SIG", SIGNATURE_ID, SIGNATURE_KEY, objects.NON_REPUDIATION, encode(encoded, rule(compute))),
        KeyEntry(
            "CPS_PRIV_AUT",
            AUTHENTICATION_ID,
            AUTHENTICATION_KEY,
            objects.DECRYPT_AND_SIGN,
            encode(encoded, rule(authenticate) + rule(decipher)),
        ),
    ]


def _certificate_directory() -> bytes:
    return objects.certificate_entry(
        "Certificat de Signature CPS", SIGNATURE_ID, _in_application(0xB001)
    ) + objects.certificate_entry("Certificat d'Authentification CPS", AUTHENTICATION_ID, _in_application(0xB002))


def _certificates(card: Issued) -> list[File]:
    return [File(0xB001, _der(card.signature)), File(0xB002, _der(card.authentication))]


def _der(credential: Credential) -> bytearray:
    return bytearray(credential.certificate.public_bytes(Encoding.DER))


def _data_entries(card: Issued) -> list[DataEntry]:
    activities = [
        DataEntry(f"CPS_ACTIVITY_{number:02}_PS", _in_application(0xD11F + number), private=True)
        for number, _ in enumerate(card.profile.activities, start=1)
    ]
    return [
        DataEntry("CPS_DATA", _in_application(0xD107), modifiable=True),
        DataEntry("CPS_ID_CARD", _in_application(0xD101)),
        DataEntry("CPS_NAME_PS", _in_application(0xD102)),
        *activities,
    ]


def _data(card: Issued) -> list[File]:
    profile = card.profile
    activities = [
        File(0xD120 + place, bytearray(_activity(activity)), read=PIN)
        for place, activity in enumerate(profile.activities)
    ]
    return [
        File(0xD107, bytearray(CPS_DATA_SIZE), update=ALWAYS),
        File(0xD101, bytearray(f"SIMULATION {card.card_number}".encode())),
        File(0xD102, bytearray(f"{profile.given_name} {profile.family_name}".encode())),
        *activities,
    ]


def _activity(activity: Activity) -> bytes:
    fields = ((0x84, activity.name), (0x85, activity.structure), (0x86, activity.sector))
    return encode(0xEE, b"".join(encode(tag, text.encode()) for tag, text in fields))
