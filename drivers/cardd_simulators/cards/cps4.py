"""A simulated CPS4: what a CPS3 does not do, or otherwise.

Source: the card facts, section "CPS4", and the emulation facts, section 5. Nothing is known of a real card's file
system. The CPS3's was taken, without its short identifiers and EF.ATR: no driver may rely on it. The answers of the
basic channel and every status word but 63C0 were chosen too, and so was a PSS salt as long as the digest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from cardd.apdu import SW, Command, Protocol, Response
from cardd.values import replace
from cardd_simulators.cards.card import PIN_REFERENCE, PUK_REFERENCE, SimulatedCard
from cardd_simulators.cards.contents import CONTACT_AID, EF_DIR, EF_SN, ROOT_AID, CardContents
from cardd_simulators.cards.environment import CONFIDENTIALITY, RAW, SIGNATURE, Environment, fields_in
from cardd_simulators.cards.files import File
from cardd_simulators.cards.interface import Refused
from cardd_simulators.cards.objects import RSA, RSA_PSS, SHA256_RSA

PKCS1_SHA1, PSS_SHA1, PKCS1_SHA256, PSS_SHA256 = 0x0A, 0x15, 0x28, 0x2C
LOCAL = 0x80

CHANNEL = 0x01
CHANNEL_CLOSED = 0x6881
SELECT, BY_NAME, INTERNAL_AUTHENTICATE = 0xA4, 0x04, 0x88
DETOUR = ((CHANNEL, bytes.fromhex("A0000001510000")), (0x00, bytes.fromhex("8025000001FF0002")))
ENVIRONMENTS = {(0x81, SIGNATURE), (0x41, CONFIDENTIALITY)}

_SHA1, _SHA256 = hashes.SHA1(), hashes.SHA256()  # noqa: S303 - what the card offers, not what cardd asks for
SIGNATURES: dict[int, tuple[AsymmetricPadding, hashes.HashAlgorithm]] = {
    PKCS1_SHA1: (PKCS1v15(), _SHA1),
    PSS_SHA1: (PSS(MGF1(_SHA1), salt_length=_SHA1.digest_size), _SHA1),
    PKCS1_SHA256: (PKCS1v15(), _SHA256),
    PSS_SHA256: (PSS(MGF1(_SHA256), salt_length=_SHA256.digest_size), _SHA256),
}


class ChipDocEnvironment(Environment):
    """Knows a signature's algorithm and key under tag 91, and a key to decipher with under tag 83."""

    def set(self, template: int, content: bytes) -> None:
        """MANAGE SECURITY ENVIRONMENT, SET. Raises Refused: 6A80 for an algorithm, 6A88 for a key."""
        fields = {field.tag: field.value for field in fields_in(content)}
        if template == CONFIDENTIALITY and len(key := fields.get(0x83, b"")) == 1:
            self._choose(template, RAW, key[0])
        elif template == SIGNATURE and len(chosen := fields.get(0x91, b"")) == 2:
            algorithm, reference = chosen
            if algorithm not in SIGNATURES or not reference & LOCAL:
                raise Refused(SW.BAD_DATA)
            self._choose(template, algorithm, reference & ~LOCAL)
        else:
            raise Refused(SW.BAD_DATA)

    def sign(self, digest: bytes) -> bytes:
        """PSO COMPUTE DIGITAL SIGNATURE over a digest that was computed off the card."""
        setting = self._setting(SIGNATURE)
        padding, algorithm = SIGNATURES[setting.algorithm]
        if len(digest) != algorithm.digest_size:
            raise Refused(SW.BAD_DATA)
        return self._key(SIGNATURE, setting.key).private.sign(digest, padding, Prehashed(algorithm))

    def decipher(self, content: bytes) -> bytes:
        """PSO DECIPHER: the RSA operation on a whole block, whatever its padding."""
        key = self._key(CONFIDENTIALITY, self._setting(CONFIDENTIALITY).key).private
        if len(content) != key.key_size // 8:
            raise Refused(SW.BAD_DATA)
        return _raw(key, content)


def _raw(key: RSAPrivateKey, block: bytes) -> bytes:
    """Return the raw RSA operation on a block, by the Chinese remainder theorem. Raises Refused (6A80)."""
    numbers = key.private_numbers()
    number = int.from_bytes(block, "big")
    if number >= numbers.public_numbers.n:
        raise Refused(SW.BAD_DATA)
    first, second = pow(number, numbers.dmp1, numbers.p), pow(number, numbers.dmq1, numbers.q)
    value = second + (first - second) * numbers.iqmp % numbers.p * numbers.q
    return value.to_bytes(key.key_size // 8, "big")


class Cps4Contents(CardContents):
    """The files of a CPS3 where no driver can find them but by the directories."""

    label_form = "CPS4-{}"
    signature_key, authentication_key = 0x21, 0x20
    algorithms = (
        ("40", "0640", SHA256_RSA, PKCS1_SHA256),
        ("43", "0640", RSA_PSS, PSS_SHA256),
        ("03", "0204", RSA, 0),
    )

    def _master_files(self) -> list[File]:
        return [File(EF_DIR, bytearray(self._ef_dir())), File(EF_SN, bytearray(self._ef_sn()))]

    def _ef_dir(self) -> bytes:
        return self._record(self.aid, b"CPS4", self.folder)

    def _directories(self) -> list[File]:
        return [replace(file, short_identifier=None) for file in super()._directories()]


class SimulatedCps4(SimulatedCard):
    """The card. All but the selections that lead there happens on logical channel 1."""

    atr: ClassVar[bytes] = bytes.fromhex("3B9B188001001225006480040100009044")
    protocol: ClassVar[Protocol] = Protocol.T1
    contents: ClassVar[type[CardContents]] = Cps4Contents
    blocked: ClassVar[int] = SW.TRIES_LEFT
    _open = False
    _selections: tuple[tuple[int, bytes], ...] = ()

    def _forget(self) -> None:
        super()._forget()
        self._open, self._selections = False, ()

    def _execute(self, command: Command) -> Response:
        if command.cla not in (0x00, CHANNEL):
            raise Refused(SW.CLA_UNKNOWN)
        if (command.ins, command.p1) == (SELECT, BY_NAME) and command.data != CONTACT_AID:
            return self._enter(command)
        if command.cla != CHANNEL:
            raise Refused(SW.CLA_UNKNOWN)
        if not self._open:
            raise Refused(CHANNEL_CLOSED)
        return super()._execute(replace(command, cla=0x00))

    def _enter(self, command: Command) -> Response:
        """Open channel 1, or take a step of the detour."""
        step = command.cla, command.data
        if step in DETOUR:
            self._selections = (*self._selections, step)
            return Response(b"", SW.OK)
        if step != (CHANNEL, ROOT_AID):
            raise Refused(SW.FILE_NOT_FOUND)
        way, self._selections = self._selections, ()
        if self._behaviour.detour and way != DETOUR:
            raise Refused(SW.CONDITIONS)
        self._open = True
        return super()._execute(replace(command, cla=0x00))

    def _new_environment(self) -> ChipDocEnvironment:
        return ChipDocEnvironment(self._keys(), self._is_reachable)

    def _set_environment(self, command: Command) -> bytes:
        if (command.p1, command.p2) not in ENVIRONMENTS:
            raise Refused(SW.BAD_P1P2)
        self._environment.set(command.p2, command.data)
        return b""

    def _operate(self, command: Command) -> bytes:
        """Signing and deciphering; nothing is hashed on this card."""
        if (command.p1, command.p2) == (0x90, 0xA0):
            raise Refused(SW.BAD_P1P2)
        return super()._operate(command)

    def _change(self, command: Command) -> bytes:
        """Set the new PIN, which comes alone: after a VERIFY, or after the PUK gave the tries back."""
        self._pin(command.p1 == 1 and command.p2 == PIN_REFERENCE, command.p2).replace(command.data)
        return b""

    def _unblock(self, command: Command) -> bytes:
        """Give all tries back, and set no new PIN yet."""
        pin = self._pin(command.p1 == 3 and command.p2 == PIN_REFERENCE | LOCAL, PIN_REFERENCE)
        if not self._pins[PUK_REFERENCE].verified:
            raise Refused(SW.SECURITY_STATUS)
        pin.renew()
        return b""

    def _known_commands(self) -> dict[int, Callable[[Command], bytes]]:
        return {ins: run for ins, run in super()._known_commands().items() if ins != INTERNAL_AUTHENTICATE}
