"""A CPS3 near a contactless reader: it tells which card it is, and offers nothing of its holder's."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.errors import AlgorithmUnsupported, CardIncomplete
from cardd.model import Algorithm, CardKind, KeyPurpose, KeyRef, Message
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.card import SimulatedContactless
from tests.drivers.channel import CountingChannel
from tests.drivers.conftest import Benches
from tests.drivers.small_card import SmallCard
from tests.rig.openssl import is_issued_by, verifies
from tests.rig.simulator import issue, store

DOCUMENT = b"preuve SIMULATION"
DIGEST = hashlib.sha256(DOCUMENT).digest()


def _opened(behaviour: Behaviour | None = None) -> Card:
    card = SimulatedContactless(issue(), behaviour=behaviour)
    channel = CountingChannel(card.process, atr=card.power_on(), protocol=card.protocol, on_reset=card.reset)
    kind = Cps3Driver().recognise(channel.atr)
    assert kind is CardKind.CPS3_CONTACTLESS
    return Cps3Driver().open(channel, kind)


def _key(card: Card) -> KeyRef:
    key = card.info.key(KeyPurpose.TECHNICAL)
    assert key
    return key


def test_a_contactless_cps3_identifies_itself_and_has_one_technical_key_and_no_pin() -> None:
    info = _opened().info
    assert (info.kind, info.driver, info.serial, info.pin) == (
        CardKind.CPS3_CONTACTLESS,
        "cps3",
        issue().serial,
        None,
    )
    assert [(key.label, key.purpose, key.reference, key.pin) for key in info.keys] == [
        ("CPS_PRIV_TECH_AUT", KeyPurpose.TECHNICAL, 0x83, None)
    ]


def test_openssl_verifies_its_technical_certificate(tmp_path: Path) -> None:
    card = _opened()
    [certificate] = card.certificates()
    assert (certificate.key_id, certificate.label) == (_key(card).id, "Certificat Technique CPS")
    assert is_issued_by(tmp_path, certificate.der, store().chain)


@pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(strict_references=True)])
def test_a_contactless_cps3_proves_without_a_pin_that_it_is_genuine(behaviour: Behaviour, tmp_path: Path) -> None:
    card = _opened(behaviour)
    [certificate] = card.certificates()
    proof = card.authenticate(_key(card), Algorithm.RS256, DIGEST)
    assert verifies(tmp_path, certificate.der, proof, DOCUMENT)


def test_a_contactless_cps3s_key_signs_no_document() -> None:
    card = _opened()
    with pytest.raises(AlgorithmUnsupported):
        card.sign(_key(card), Algorithm.RS256, Message(DIGEST))


def test_a_contactless_cps3_takes_no_pin() -> None:
    card = _opened()
    with pytest.raises(CardIncomplete), Secret.of(b"1234") as pin:
        card.verify(pin)
    with pytest.raises(CardIncomplete):
        card.pin_status()


def test_a_key_that_no_pin_protects_is_technical_on_an_inserted_card_too(bench: Benches) -> None:
    flags_and_pin, flags_alone = bytes.fromhex("03020780040101"), bytes.fromhex("03050080000000")
    card = SmallCard()
    card.contents["3F0000017002"] = card.contents["3F0000017002"].replace(flags_and_pin, flags_alone)
    assert {key.purpose for key in bench(card).opened.info.keys} == {KeyPurpose.TECHNICAL}
