"""What ``cardd.driver`` promises of a card, whatever it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from cardd.core.card_transaction import LoginUse, VerifiedCard
from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    PinBlocked,
    PinError,
    PinFormat,
    PinRequired,
    PinUnchangeable,
    PinWrong,
    PukWrong,
)
from cardd.model import Algorithm, KeyPurpose, KeyRef, Message
from cardd.ports import Connection
from cardd.secret import Secret
from tests.contract.cases import CASES, Case
from tests.rig.openssl import verifies

DOCUMENT = b"SIMULATION"
MESSAGE = Message(hashlib.sha256(DOCUMENT).digest(), DOCUMENT)


def verify(card: Card, pin: bytes) -> None:
    with Secret.of(pin) as secret:
        card.verify(secret)


def logged_in(card: Card, pin: bytes) -> Card:
    """The card with its PIN given, and given again where it wants that, as the core uses it."""
    verify(card, pin)
    return VerifiedCard(card, LoginUse(), lambda: verify(card, pin))


def key(card: Card, purpose: KeyPurpose) -> KeyRef:
    found = card.info.key(purpose)
    assert found
    return found


def use(card: Card, purpose: KeyPurpose, algorithm: Algorithm | None = None) -> bytes:
    chosen = key(card, purpose)
    algorithm = algorithm or chosen.algorithms[0]
    if purpose is KeyPurpose.SIGNATURE:
        return card.sign(chosen, algorithm, MESSAGE)
    return card.authenticate(chosen, algorithm, MESSAGE.digest)


def is_accepted(card: Card, purpose: KeyPurpose, algorithm: Algorithm, value: bytes, directory: Path) -> bool:
    """What openssl says of it; it wants an ES256 value in DER."""
    [certificate] = [one.der for one in card.certificates() if one.key_id == key(card, purpose).id]
    if algorithm is Algorithm.ES256:
        value = encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    return verifies(directory, certificate, value, DOCUMENT, pss=algorithm is Algorithm.PS256)


def test_a_card_says_what_it_is_and_how_its_pin_looks(case: Case, card: Card) -> None:
    pin = card.info.pin
    assert pin
    assert pin.minimum <= len(case.pin) <= pin.maximum
    assert card.info.driver
    assert card.pin_status().tries_left == case.tries


def test_each_key_has_a_purpose_an_algorithm_and_a_certificate(case: Case, card: Card) -> None:
    verify(card, case.pin)
    assert {entry.purpose for entry in card.info.keys} == {KeyPurpose.AUTHENTICATION, KeyPurpose.SIGNATURE}
    assert all(entry.algorithms for entry in card.info.keys)
    assert {entry.id for entry in card.info.keys} == {one.key_id for one in card.certificates()}


def test_openssl_accepts_every_algorithm_of_every_key(case: Case, card: Card, tmp_path: Path) -> None:
    card = logged_in(card, case.pin)
    for purpose in case.purposes:
        for algorithm in key(card, purpose).algorithms:
            value = use(card, purpose, algorithm)
            assert is_accepted(card, purpose, algorithm, value, tmp_path), (purpose, algorithm)


def test_one_pin_serves_a_batch(case: Case, card: Card, tmp_path: Path) -> None:
    card = logged_in(card, case.pin)
    purpose = case.purposes[0]
    algorithm = key(card, purpose).algorithms[0]
    for _ in range(3):
        assert is_accepted(card, purpose, algorithm, use(card, purpose), tmp_path)


def test_no_key_works_after_the_transactions_end(case: Case, card: Card, connection: Connection) -> None:
    verify(card, case.pin)
    use(card, case.purposes[0])
    connection.end(reset=True)
    connection.begin()
    for purpose in (KeyPurpose.SIGNATURE, KeyPurpose.AUTHENTICATION):
        with pytest.raises(PinRequired):
            use(card, purpose)


def test_no_key_does_anothers_work(case: Case, card: Card) -> None:
    verify(card, case.pin)
    signing, proving = key(card, KeyPurpose.SIGNATURE), key(card, KeyPurpose.AUTHENTICATION)
    with pytest.raises(AlgorithmUnsupported):
        card.sign(proving, proving.algorithms[0], MESSAGE)
    with pytest.raises(AlgorithmUnsupported):
        card.authenticate(signing, signing.algorithms[0], MESSAGE.digest)


def test_an_algorithm_that_a_key_does_not_list_is_refused(case: Case, card: Card) -> None:
    verify(card, case.pin)
    signing = key(card, KeyPurpose.SIGNATURE)
    for algorithm in set(Algorithm) - set(signing.algorithms):
        with pytest.raises(AlgorithmUnsupported):
            card.sign(signing, algorithm, MESSAGE)


def test_a_wrong_pin_is_told_and_opens_nothing(case: Case, card: Card) -> None:
    verify(card, case.pin)
    signing = key(card, KeyPurpose.SIGNATURE)
    with case.connection() as connection:
        fresh = connection.open()
        with pytest.raises(PinWrong) as wrong:
            verify(fresh, case.wrong)
        if case.tries is not None:
            assert wrong.value.params["tries_left"] == case.tries - 1
            assert fresh.pin_status().tries_left == case.tries - 1
        with pytest.raises(PinRequired):
            fresh.sign(signing, signing.algorithms[0], MESSAGE)


@pytest.mark.parametrize("case", [case for case in CASES if case.impossible], ids=lambda case: case.name)
def test_a_pin_that_cannot_be_right_is_not_sent(case: Case, card: Card) -> None:
    assert case.impossible
    with pytest.raises(PinFormat):
        verify(card, case.impossible)
    assert card.pin_status().tries_left == case.tries


@pytest.mark.parametrize("case", [case for case in CASES if case.tries], ids=lambda case: case.name)
def test_the_pin_blocks_when_its_tries_are_spent(case: Case, card: Card) -> None:
    assert case.tries
    for _ in range(case.tries - 1):
        with pytest.raises(PinWrong):
            verify(card, case.wrong)
    with pytest.raises((PinWrong, PinBlocked)):
        verify(card, case.wrong)
    assert card.pin_status().tries_left == 0
    with pytest.raises(PinBlocked):
        verify(card, case.pin)


def test_the_pin_is_changed_or_said_to_be_fixed(case: Case, card: Card, connection: Connection) -> None:
    verify(card, case.pin)
    with Secret.of(case.pin) as old, Secret.of(case.new or b"0000") as new:
        if case.new is None:
            with pytest.raises(PinUnchangeable):
                card.change_pin(old, new)
            return
        card.change_pin(old, new)
    connection.end(reset=True)
    connection.begin()
    with pytest.raises(PinWrong):
        verify(card, case.pin)
    verify(card, case.new)


def test_a_blocked_pin_is_unblocked_with_the_puk_and_with_nothing_else(case: Case, card: Card) -> None:
    if case.puk is None or case.new is None or not case.unblocks:
        with (
            Secret.of(case.puk or b"00000000") as puk,
            Secret.of(case.new or b"0000") as new,
            pytest.raises(PinUnchangeable),
        ):
            card.unblock_pin(puk, new)
        return
    for _ in range(case.tries or 3):
        with pytest.raises(PinError):
            verify(card, case.wrong)
    with Secret.of(b"0" * len(case.puk)) as wrong, Secret.of(case.new) as new:
        with pytest.raises(PukWrong) as refused:
            card.unblock_pin(wrong, new)
        assert ": ." not in refused.value.told("en").detail  # a count is told where the card gives one, and else none
        with Secret.of(case.puk) as puk:
            card.unblock_pin(puk, new)
    verify(card, case.new)
    assert card.pin_status().tries_left == case.tries
