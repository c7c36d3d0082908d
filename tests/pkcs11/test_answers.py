"""What is made of each return value that a module may have, and of certificates that say nothing of use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CarddError,
    CardIncomplete,
    CardRefused,
    CardRemoved,
    NewPinRefused,
    PinBlocked,
    PinCancelled,
    PinFormat,
    PinRefused,
    PinRequired,
    PinUnchangeable,
    PinWrong,
    PukBlocked,
    PukRefused,
    PukWrong,
)
from cardd.model import Algorithm, Message
from cardd.secret import Secret
from cardd_drivers.pkcs11.card import TokenCard
from cardd_drivers.pkcs11.module import Module, ModuleSandbox
from cardd_drivers.pkcs11.wire import Reply
from tests.pkcs11.answers import MUTE, NOTHING, slot_of
from tests.rig.pens import usage_of

SIGNS = usage_of("content_commitment")


def certificate(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, usage: x509.KeyUsage | None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SIMULATION")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now := datetime.now(UTC), now + timedelta(1))
    builder = builder.add_extension(usage, critical=True) if usage else builder
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


@pytest.fixture(scope="module")
def module() -> Iterator[Module]:
    curve = ec.generate_private_key(ec.SECP256R1())
    held = (
        certificate(curve, SIGNS),
        certificate(curve, None),
        certificate(ed25519.Ed25519PrivateKey.generate(), SIGNS),
        b"no certificate",
    )
    command = (sys.executable, "-P", "-m", "tests.pkcs11.answers")
    made = Module("/nowhere.so", sandbox=ModuleSandbox(files=tuple(der.hex() for der in held)), command=command)
    yield made
    made.close()


def test_only_a_certificate_with_a_purpose_and_a_known_key_is_a_key(module: Module) -> None:
    info = TokenCard(module, slot_of(NOTHING), "").info
    assert [key.id for key in info.keys] == ["00"]
    assert info.unusable == ("Ed25519",)


def test_a_token_that_does_not_describe_itself_is_incomplete(module: Module) -> None:
    with pytest.raises(CardIncomplete):
        TokenCard(module, MUTE, "")


def verify(card: Card) -> None:
    with Secret.of(b"2468") as pin:
        card.verify(pin)


def change(card: Card) -> None:
    with Secret.of(b"2468") as old, Secret.of(b"8642") as new:
        card.change_pin(old, new)


def unblock(card: Card) -> None:
    with Secret.of(b"24682468") as puk, Secret.of(b"8642") as new:
        card.unblock_pin(puk, new)


def sign(card: Card) -> None:
    [key] = card.info.keys
    card.sign(key, Algorithm.ES256, Message(bytes(32)))


@pytest.mark.parametrize(
    ("act", "answer", "error"),
    [
        (verify, Reply(0xA0), PinRefused),
        (verify, Reply(0xA0, flags=0x20000), PinWrong),
        (verify, Reply(0xA0, flags=0x40000), PinBlocked),
        (verify, Reply(0xA2), PinFormat),
        (verify, Reply(0xA4), PinBlocked),
        (verify, Reply(0x50), PinCancelled),
        (verify, Reply(0x32), CardRemoved),
        (verify, Reply(0x05), CardRefused),
        (verify, Reply(-1, "ValueError: odd"), CardRefused),
        (change, Reply(0x54), PinUnchangeable),
        (change, Reply(0xE2), PinUnchangeable),
        (change, Reply(0xA0), PinRefused),
        (change, Reply(0xA0, of_new=True), NewPinRefused),
        (change, Reply(0xA2, of_new=True), NewPinRefused),
        (unblock, Reply(0x103), PinUnchangeable),
        (unblock, Reply(0xA0), PukRefused),
        (unblock, Reply(0xA0, flags=0x200000), PukWrong),
        (unblock, Reply(0xA0, flags=0x400000), PukBlocked),
        (unblock, Reply(0x05), CardRefused),
    ],
)
def test_each_refusal_is_told_as_what_it_is(
    module: Module, act: Callable[[Card], None], answer: Reply, error: type[CarddError]
) -> None:
    with pytest.raises(CarddError) as told:
        act(TokenCard(module, slot_of(answer), ""))
    assert type(told.value) is error


@pytest.mark.parametrize(
    ("answer", "error"),
    [(Reply(0x70), AlgorithmUnsupported), (Reply(0x101), PinRequired), (Reply(0x05), CardRefused)],
)
def test_each_refusal_to_sign_is_told_as_what_it_is(module: Module, answer: Reply, error: type[CarddError]) -> None:
    card = TokenCard(module, slot_of(answer), "", login=module.generation)
    with pytest.raises(CarddError) as told:
        sign(card)
    assert type(told.value) is error


def test_what_a_token_cannot_do_is_refused_before_it_is_asked(module: Module) -> None:
    card = TokenCard(module, slot_of(NOTHING), "")
    with pytest.raises(PinUnchangeable):
        card.change_pin(None, None)
    with pytest.raises(PinRequired):
        sign(card)
    with pytest.raises(AlgorithmUnsupported):
        card.authenticate(card.info.keys[0], Algorithm.ES256, bytes(32))
