"""A small CPS3 whose oddities can be chosen: what is not known of real cards, and what broken or hostile ones do.

The simulator that cardd ships behaves as the card facts say; this one is for the cases between and beyond them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from cardd.apdu import Command, Response
from tests.drivers.compression import complete
from tests.drivers.pki import authentication_pair, signature_pair

AID = bytes.fromhex("E828BD080F8025000001FF0010")
DIGEST_INFO = bytes.fromhex("3031300D060960864801650304020105000420")
PIN = b"1234"

EF_DIR = bytes.fromhex(
    "611D4F0DE828BD080F8025000001FF0020500643505333434C51043F000002"
    "611B4F0DE828BD080F8025000001FF0010500443505333"
    "51043F000001"
)
ODF = bytes.fromhex("A80A300804063F0000017001A00A300804063F0000017002A40A300804063F0000017005")
AODF = bytes.fromhex(
    "303830140C0E436F6465206465626C6F63616765030206C03003040102A11B30190302000B0A0101020108020108020108800102"
    "300404023F00"
    "303930150C0C436F646520706F7274657572030206C00401023003040101A11B3019030203080A0101020104020104020104800101"
    "300404023F00"
)
KEY_TYPE = bytes.fromhex("A11D301B30150400A1114F0DE828BD080F8025000001FF0010040002020800")


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes((len(body),)) if len(body) < 0x80 else bytes((0x81, len(body)))
    return bytes((tag,)) + size + body


def _key(label: str, number: int, usage: str, reference: int) -> bytes:
    common = _der(0x30, _der(0x0C, label.encode()), bytes.fromhex("03020780040101"))
    own = _der(0x30, _der(0x04, AID, bytes((number,))), bytes.fromhex(usage), bytes((2, 2, 0, reference)))
    return _der(0x30, common, own, KEY_TYPE)


def _certificate(label: str, number: int, path: str) -> bytes:
    common = _der(0x30, _der(0x0C, label.encode()), bytes.fromhex("03020640"))
    own = _der(0x30, _der(0x04, AID, bytes((number,))))
    return _der(0x30, common, own, _der(0xA1, _der(0x30, _der(0x30, _der(0x04, bytes.fromhex(path))))))


def files() -> dict[str, bytes]:
    """The card's files by path; the authentication key and certificate come first here."""
    return {
        "3F00D003": bytes.fromhex("5A0A8025000001992138450F"),
        "3F002F00": EF_DIR,
        "3F0000015031": ODF,
        "3F0000017001": AODF,
        "3F0000017002": _key("CPS_PRIV_AUT", 2, "03020560", 0x82) + _key("CPS_PRIV_SIG", 1, "0303060040", 0x81),
        "3F0000017005": _certificate("Certificat d'Authentification CPS", 2, "3F000001B0A2")
        + _certificate("Certificat de Signature CPS", 1, "3F000001B0A1"),
        "3F000001B0A1": signature_pair().der,
        "3F000001B0A2": authentication_pair().der,
    }


SHORT_IDS = {"3F00": {0x1C: "D003", 0x1E: "2F00"}, "3F000001": {0x11: "5031"}}


@dataclass
class SmallCard:
    """``process`` takes a command APDU under T=0 and answers it."""

    contents: dict[str, bytes] = field(default_factory=files)
    strict_references: bool = False  # key references resolve inside the application only
    select_forgets_login: bool = False
    off_card_hash: bool = True
    on_card_hash: bool = True
    wrong_length: bool = False  # 6Cxx for a Le that passes the file's end, instead of what is there
    largest_read: int = 256
    forgets_environment: bool = False  # after each signature
    swaps_keys_at_master: bool = False
    last_try_sw: int = 0x63C0
    mutate: Callable[[Command, Response], Response] = field(default=lambda _, response: response)

    def __post_init__(self) -> None:
        self.left = 3
        self.reset()

    def reset(self) -> None:
        """Back to the master file, no login."""
        self.folder, self.file = "3F00", ""
        self.verified = False
        self.environment: dict[int, bytes] = {}
        self.hash: bytes | None = None
        self.waiting = b""

    def process(self, raw: bytes) -> bytes:
        """One command."""
        command = Command.decode(raw[:4] if len(raw) == 5 and raw[1] == 0x20 else raw)
        response = self.mutate(command, self._dispatch(command))
        if response.data and command.data:  # T=0: a case-4 answer is fetched
            self.waiting = response.data
            return bytes((0x61, len(self.waiting) & 0xFF))
        return response.encode()

    def _dispatch(self, command: Command) -> Response:
        handlers = {
            0xA4: self._select,
            0xB0: self._read,
            0xC0: self._get_response,
            0x20: self._verify,
            0x22: self._manage,
            0x2A: self._perform,
            0x88: self._authenticate,
        }
        handler = handlers.get(command.ins)
        return handler(command) if handler else Response(b"", 0x6D00)

    def _get_response(self, command: Command) -> Response:
        size = command.le or 256
        data, self.waiting = self.waiting[:size], self.waiting[size:]
        return Response(data, 0x6100 | len(self.waiting) & 0xFF if self.waiting else 0x9000)

    def _select(self, command: Command) -> Response:
        if command.p2 != 0x0C:
            return Response(b"", 0x6A86)
        path = "3F000001" if command.data == AID else command.data.hex().upper()
        if path not in ("3F00", "3F000001") and path not in self.contents:
            return Response(b"", 0x6A82)
        is_folder = path in ("3F00", "3F000001")
        self.folder, self.file = (path, "") if is_folder else (path[:-4], path)
        self.environment, self.hash = {}, None
        if self.select_forgets_login:
            self.verified = False
        return Response(b"", 0x9000)

    def _read(self, command: Command) -> Response:
        offset = command.p1 << 8 | command.p2
        if command.p1 & 0x80:
            short = SHORT_IDS.get(self.folder, {}).get(command.p1 & 0x1F)
            if short is None or self.folder + short not in self.contents:
                return Response(b"", 0x6A82)
            self.file, offset = self.folder + short, command.p2
        content = self.contents[self.file]
        if offset >= len(content):
            return Response(b"", 0x6B00)
        data = content[offset : offset + min(command.le or 256, self.largest_read)]
        if len(data) < (command.le or 256) and self.wrong_length:
            return Response(b"", 0x6C00 | len(data))
        ended = len(data) < (command.le or 256) and self.largest_read == 256
        return Response(data, 0x6282 if ended else 0x9000)

    def _verify(self, command: Command) -> Response:
        if command.p2 != 1:
            return Response(b"", 0x6A88)
        if self.left == 0:
            return Response(b"", 0x6983)
        if not command.data:
            return Response(b"", 0x9000 if self.verified else 0x63C0 | self.left)
        self.verified = command.data == PIN
        self.left = 3 if self.verified else self.left - 1
        return Response(b"", 0x9000 if self.verified else (0x63C0 | self.left if self.left else self.last_try_sw))

    def _manage(self, command: Command) -> Response:
        if self.strict_references and self.folder != "3F000001" and command.p2 != 0xAA:
            return Response(b"", 0x6A88)
        if not self.off_card_hash and not self.on_card_hash:
            return Response(b"", 0x6A81)
        self.environment[command.p2] = command.data
        return Response(b"", 0x9000)

    def _perform(self, command: Command) -> Response:
        if (command.p1, command.p2) == (0x90, 0xA0):
            return self._take_hash(command.data)
        digest = command.data or self.hash or b""
        if sw := self._why_not(command, digest):
            return Response(b"", sw)
        signature = self._key(signature_pair().key).sign(digest, PKCS1v15(), Prehashed(SHA256()))
        if not command.data:
            self.waiting, self.hash = signature, None
            return Response(b"", 0x6100)
        return self._signed(signature)

    def _why_not(self, command: Command, digest: bytes) -> int:
        if self.environment.get(0xB6) != bytes.fromhex("800142840181"):
            return 0x6985
        if not self.verified:
            return 0x6982
        if command.data and not self.off_card_hash:
            return 0x6A80
        return 0 if len(digest) == 32 else 0x6985

    def _take_hash(self, data: bytes) -> Response:
        if not self.on_card_hash or self.environment.get(0xAA) != bytes.fromhex("800140"):
            return Response(b"", 0x6A81)
        intermediate = data[2 : 2 + data[1]]
        block = data[4 + data[1] :]
        assert data[0] == 0x90
        assert data[2 + data[1]] == 0x80
        assert data[3 + data[1]] == len(block) <= 64
        self.hash = complete(intermediate, block) if intermediate else hashlib.sha256(block).digest()
        return Response(b"", 0x9000)

    def _authenticate(self, command: Command) -> Response:
        if self.environment.get(0xA4) != bytes.fromhex("800102840182") or not command.data.startswith(DIGEST_INFO):
            return Response(b"", 0x6985)
        if not self.verified:
            return Response(b"", 0x6982)
        key = self._key(authentication_pair().key)
        return self._signed(key.sign(command.data[-32:], PKCS1v15(), Prehashed(SHA256())))

    def _signed(self, signature: bytes) -> Response:
        if self.forgets_environment:
            self.environment = {}
        return Response(signature, 0x9000)

    def _key(self, key: RSAPrivateKey) -> RSAPrivateKey:
        if not (self.swaps_keys_at_master and self.folder == "3F00"):
            return key
        pairs = (signature_pair().key, authentication_pair().key)
        return pairs[1] if key is pairs[0] else pairs[0]
