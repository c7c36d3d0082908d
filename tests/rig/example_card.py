"""The card of ``docs/writing-a-driver.md``, as that page describes it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cardd.apdu import Command, Protocol, Response
from cardd_simulators.cards.interface import Transmission
from tests.rig.pens import usage_of

PIN = b"1234"
AID = bytes.fromhex("F053494D554C")
TRIES = 3


@cache
def _pair(usage: str) -> tuple[RSAPrivateKey, bytes]:
    """A key and its certificate."""
    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "899000000998")])
    begins = datetime.now(UTC)
    ends = begins + timedelta(days=30)
    bits = usage_of("content_commitment" if usage == "signature" else "digital_signature")
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), begins, ends)
    certificate = builder.add_extension(bits, critical=True).sign(key, SHA256())
    return key, certificate.public_bytes(Encoding.DER)


class ExampleCard:
    """``cardd_simulators.cards.interface.PoweredCard``."""

    atr = bytes.fromhex("3B800181")
    protocol = Protocol.T1
    title = "Carte exemple"

    def __init__(self) -> None:
        self.left = TRIES
        self._verified = self._selected = False
        self._keys = {1: _pair("signature"), 2: _pair("authentication")}
        self._transmission = Transmission(self.protocol, self._execute)

    def power_on(self) -> bytes:
        """Forget the login."""
        self._verified = self._selected = False
        return self.atr

    def power_off(self) -> None:
        """Forget the login."""
        self.power_on()

    def reset(self) -> bytes:
        """Forget the login."""
        return self.power_on()

    def process(self, apdu: bytes) -> bytes:
        """Answer one command."""
        response = self._transmission.answer(Command.decode(apdu))
        return response.data + response.sw.to_bytes(2, "big")

    def _execute(self, command: Command) -> Response:
        if command.ins == 0xA4:
            self._selected = command.data == AID
            return Response(b"", 0x9000 if self._selected else 0x6A82)
        commands = {0xCA: self._data, 0x20: self._verify, 0x2A: self._sign}
        if not self._selected or command.ins not in commands:
            return Response(b"", 0x6D00 if self._selected else 0x6985)
        return commands[command.ins](command)

    def _data(self, command: Command) -> Response:
        return Response(bytes.fromhex("00000017") if command.p1 == 1 else self._keys[command.p2][1], 0x9000)

    def _verify(self, command: Command) -> Response:
        if command.data and self.left:
            self._verified = command.data == PIN
            self.left = TRIES if self._verified else self.left - 1
        if self._verified:
            return Response(b"", 0x9000)
        return Response(b"", 0x63C0 | self.left if self.left else 0x6983)

    def _sign(self, command: Command) -> Response:
        if not self._verified:
            return Response(b"", 0x6982)
        if len(command.data) != hashlib.sha256().digest_size:
            return Response(b"", 0x6A80)
        return Response(self._keys[command.p1][0].sign(command.data, PKCS1v15(), Prehashed(SHA256())), 0x9000)
