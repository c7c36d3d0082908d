"""What stands in the files of a simulated CPS3. Source: the emulation facts, section 2.

The file identifiers below 0001 are those that worked, not those of a real card: no driver may rely on them. What real
CPS_DATA, CPS_ID_CARD and CPS_NAME_PS hold is not known: theirs is plain text, or zeros.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.serialization import Encoding

from cardd.tlv import encode
from cardd.values import replace
from cardd_simulators.cards import objects
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.files import ADMINISTRATION, ALWAYS, MASTER_FILE, PIN, File, Folder
from cardd_simulators.cards.objects import DataEntry, KeyEntry
from cardd_simulators.cards.profiles import Activity
from cardd_simulators.cards.store import Credential, Issued

ROOT_AID = bytes.fromhex("8025000001FF0100")
CONTACT_AID = bytes.fromhex("E828BD080F8025000001FF0010")
CONTACTLESS_AID = bytes.fromhex("E828BD080F8025000001FF0020")
CONTACT_FOLDER, CONTACTLESS_FOLDER = 0x0001, 0x0002
EF_DIR, EF_SN = 0x2F00, 0xD003

EF_ATR = bytes.fromhex(
    "804301B8460404B0ECC147039401804F088025000001FF0100E01002020104020201040202010002020100780806062B8122F8780282029000"
)
CPS_DATA_SIZE = 512
COMPUTE, AUTHENTICATE, DECIPHER = bytes.fromhex("0204"), bytes.fromhex("0001"), bytes.fromhex("060040")


class CardContents:
    """The file system of one card. Another kind of card overrides the constants and the methods."""

    aid = CONTACT_AID
    folder = CONTACT_FOLDER
    label_form = "CPS3v3-{}"
    info_flags = objects.READ_ONLY_LOGIN_REQUIRED
    algorithms: tuple[objects.AlgorithmEntry, ...] = objects.ALGORITHMS
    signature_key, authentication_key = 0x81, 0x82

    def __init__(self, card: Issued, pin_length: int, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._card = card
        self._pin_length = pin_length

    def files(self) -> Folder:
        """Return the master file and all below it."""
        own = [*self._directories(), *self._certificates(), *self._data()]
        application = Folder(self.folder, self.aid, list(map(self._as_found, own)))
        lacking = {EF_DIR: self._behaviour.no_ef_dir, EF_SN: self._behaviour.no_ef_sn}
        there = [self._as_found(file) for file in self._master_files() if not lacking.get(file.identifier)]
        return Folder(MASTER_FILE, ROOT_AID, [*there, application])

    def _as_found(self, file: File) -> File:
        return replace(file, short_identifier=None) if self._behaviour.no_short_ids else file

    def _master_files(self) -> list[File]:
        locked = {"update": ADMINISTRATION, "delete": ADMINISTRATION}
        return [
            File(EF_DIR, bytearray(self._ef_dir()), 0x1E, **locked),
            File(0x2F01, bytearray(EF_ATR), 0x1D, **locked),
            File(EF_SN, bytearray(self._ef_sn()), 0x1C),
        ]

    def _ef_dir(self) -> bytes:
        """Return EF.DIR, the contactless record first: OpenSC moves the second application it knows to the front."""
        return self._record(CONTACTLESS_AID, b"CPS3CL", CONTACTLESS_FOLDER) + self._record(
            CONTACT_AID, b"CPS3", CONTACT_FOLDER
        )

    def _record(self, aid: bytes, label: bytes, folder: int) -> bytes:
        """Return one record of EF.DIR."""
        path = b"" if self._behaviour.ef_dir_without_paths else encode(0x51, absolute_path(folder))
        return encode(0x61, encode(0x4F, aid) + encode(0x50, label) + path)

    def _ef_sn(self) -> bytes:
        return encode(0x5A, bytes.fromhex(f"8025000001{self._card.serial}0F"))

    def _path(self, identifier: int) -> bytes:
        """Return the path of a file in the application."""
        whole = absolute_path(self.folder, identifier)
        return whole[-2:] if self._behaviour.relative_paths else whole

    def _directories(self) -> list[File]:
        label = self.label_form.format(self._card.card_number)
        return [
            File(0x5031, bytearray(self._object_directory()), 0x11),
            File(0x5032, bytearray(objects.token_info(label, self.info_flags, self.algorithms)), 0x12),
            File(0x7001, bytearray(objects.authentication_objects(self._pin_length))),
            File(0x7002, bytearray(objects.private_keys(self._keys(), self.aid))),
            File(0x7005, bytearray(self._certificate_directory())),
            File(0x7006, bytearray(b"".join(objects.data_entry(entry) for entry in self._data_entries()))),
        ]

    def _object_directory(self) -> bytes:
        return objects.object_directory(
            {
                objects.AUTHENTICATION_OBJECTS: self._path(0x7001),
                objects.PRIVATE_KEYS: self._path(0x7002),
                objects.CERTIFICATES: self._path(0x7005),
                objects.DATA_OBJECTS: self._path(0x7006),
            }
        )

    def _keys(self) -> list[KeyEntry]:
        signs, proves = objects.key_rules(COMPUTE), objects.key_rules(AUTHENTICATE, DECIPHER)
        usages = objects.NON_REPUDIATION, objects.DECRYPT_AND_SIGN
        return [
            KeyEntry("CPS_PRIV_SIG", self.aid + b"\x01", self.signature_key, usages[0], objects.PRIVATE, signs),
            KeyEntry(
                "CPS_PRIV_AUT", self.aid + b"\x02", self.authentication_key, usages[1], objects.KEY_RULE_FLAGS, proves
            ),
        ]

    def _certificate_directory(self) -> bytes:
        return objects.certificate_entry(
            "Certificat de Signature CPS", self.aid + b"\x01", self._path(0xB001)
        ) + objects.certificate_entry("Certificat d'Authentification CPS", self.aid + b"\x02", self._path(0xB002))

    def _certificates(self) -> list[File]:
        return [File(0xB001, der(self._card.signature)), File(0xB002, der(self._card.authentication))]

    def _data_entries(self) -> list[DataEntry]:
        activities = [
            DataEntry(f"CPS_ACTIVITY_{number:02}_PS", self._path(0xD11F + number), private=True)
            for number, _ in enumerate(self._card.profile.activities, start=1)
        ]
        return [
            DataEntry("CPS_DATA", self._path(0xD107), modifiable=True),
            DataEntry("CPS_ID_CARD", self._path(0xD101)),
            DataEntry("CPS_NAME_PS", self._path(0xD102)),
            *activities,
        ]

    def _data(self) -> list[File]:
        profile = self._card.profile
        activities = [
            File(0xD120 + place, bytearray(_activity(activity)), read=PIN)
            for place, activity in enumerate(profile.activities)
        ]
        return [
            File(0xD107, bytearray(CPS_DATA_SIZE), update=ALWAYS),
            File(0xD101, bytearray(f"SIMULATION {self._card.card_number}".encode())),
            File(0xD102, bytearray(f"{profile.given_name} {profile.family_name}".encode())),
            *activities,
        ]


def absolute_path(*identifiers: int) -> bytes:
    """Return the path from the master file."""
    return b"".join(identifier.to_bytes(2, "big") for identifier in (MASTER_FILE, *identifiers))


def der(credential: Credential) -> bytearray:
    """Return a certificate as its file has it."""
    return bytearray(credential.certificate.public_bytes(Encoding.DER))


def _activity(activity: Activity) -> bytes:
    fields = ((0x84, activity.name), (0x85, activity.structure), (0x86, activity.sector))
    return encode(0xEE, b"".join(encode(tag, text.encode()) for tag, text in fields))
