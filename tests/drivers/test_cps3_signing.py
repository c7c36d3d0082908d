"""Signatures of a CPS3: both ways of hashing, what they cost, and the cards that behave otherwise."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.apdu import Command, Response
from cardd.errors import AlgorithmUnsupported, CarddError, CardRefused, PinRequired, SignatureInvalid
from cardd.model import Algorithm, CardKind, KeyPurpose, Message
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps3.keys import Verifier
from tests.drivers.channel import CountingChannel
from tests.drivers.conftest import DOCUMENT, Benches
from tests.drivers.pki import signature_pair
from tests.drivers.small_card import SmallCard
from tests.rig.openssl import verifies

LENGTHS = [1, 63, 64, 65, 128, 129, 100_000]


def test_a_signature_costs_4_apdus_and_each_further_one_of_a_batch_2(bench: Benches) -> None:
    open_card = bench()
    open_card.login()
    costs = []
    for _ in range(10):
        open_card.sign()
        costs.append(open_card.channel.count())
    assert costs == [4] + [2] * 9


def test_an_authentication_costs_the_same(bench: Benches) -> None:
    open_card = bench()
    open_card.login()
    costs = []
    for _ in range(3):
        open_card.authenticate()
        costs.append(open_card.channel.count())
    assert costs == [4, 2, 2]


def test_what_the_card_was_told_is_told_again_after_a_reset_or_for_another_key(bench: Benches) -> None:
    open_card = bench()
    open_card.login()
    assert open_card.sign()
    assert open_card.authenticate()
    assert open_card.sign()
    assert open_card.channel.count() == 1 + 3 * 3
    open_card.next_transaction()
    open_card.login()
    open_card.sign()
    assert open_card.channel.count() == 4


def test_nothing_the_card_was_told_is_taken_for_granted_after_a_reset(bench: Benches) -> None:
    open_card = bench()
    open_card.login()
    open_card.sign()
    open_card.next_transaction()
    with pytest.raises(PinRequired):
        open_card.sign()
    assert [raw[1] for raw in open_card.channel.sent] == [0x22, 0x2A]


def test_openssl_verifies_both_keys_signatures(bench: Benches, tmp_path: Path) -> None:
    open_card = bench()
    open_card.login()
    signature, proof = open_card.sign(), open_card.authenticate()
    assert verifies(tmp_path, open_card.certificate(KeyPurpose.SIGNATURE), signature, DOCUMENT)
    assert verifies(tmp_path, open_card.certificate(KeyPurpose.AUTHENTICATION), proof, DOCUMENT)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_card_that_hashes_itself_signs_documents_of_any_length(length: int, bench: Benches, tmp_path: Path) -> None:
    open_card = bench(SmallCard(off_card_hash=False))
    open_card.login()
    document = bytes(n % 251 for n in range(length))
    signature = open_card.sign(document, with_content=True)
    assert verifies(tmp_path, open_card.certificate(KeyPurpose.SIGNATURE), signature, document)


def test_that_a_card_hashes_itself_is_remembered(bench: Benches) -> None:
    open_card = bench(SmallCard(off_card_hash=False))
    open_card.login()
    open_card.sign(with_content=True)
    open_card.next_transaction()
    open_card.login()
    open_card.sign(with_content=True)
    assert open_card.channel.count() == 6  # VERIFY, MSE, HASH, MSE, sign, GET RESPONSE


def test_a_card_that_hashes_itself_cannot_sign_a_bare_digest_nor_nothing(bench: Benches) -> None:
    open_card = bench(SmallCard(off_card_hash=False))
    open_card.login()
    with pytest.raises(AlgorithmUnsupported):
        open_card.sign()
    with pytest.raises(AlgorithmUnsupported):
        open_card.sign(b"", with_content=True)
    assert open_card.sign(with_content=True)
    with pytest.raises(AlgorithmUnsupported):
        open_card.sign()


def test_a_card_that_offers_neither_way_says_so(bench: Benches) -> None:
    open_card = bench(SmallCard(off_card_hash=False, on_card_hash=False))
    open_card.login()
    with pytest.raises(CardRefused) as told:
        open_card.sign(with_content=True)
    assert told.value.params == {"command": "MANAGE SECURITY ENVIRONMENT", "sw": "6A81"}


def test_a_card_strict_about_its_folder_is_asked_inside_it_and_so_at_once_from_then_on(bench: Benches) -> None:
    open_card = bench(SmallCard(strict_references=True))
    open_card.login()
    assert open_card.sign()
    assert open_card.channel.count() == 6  # one refused MSE and one SELECT more
    for cost in (5, 5):
        open_card.next_transaction()
        open_card.login()
        assert open_card.sign()
        assert open_card.channel.count() == cost
    assert open_card.sign()
    assert open_card.channel.count() == 2


def test_a_login_lost_by_select_is_told_and_the_next_one_holds(bench: Benches) -> None:
    open_card = bench(SmallCard(strict_references=True, select_forgets_login=True))
    open_card.login()
    with pytest.raises(PinRequired):
        open_card.sign()
    open_card.login()
    assert open_card.sign()
    open_card.next_transaction()
    open_card.login()
    assert open_card.sign()


def test_a_card_that_does_not_keep_its_environment_signs_a_batch(bench: Benches) -> None:
    open_card = bench(SmallCard(forgets_environment=True))
    open_card.login()
    assert all(open_card.sign() for _ in range(3))
    assert not any(raw[1] == 0xA4 for raw in open_card.channel.sent)


@pytest.mark.parametrize("act", ["sign", "authenticate"])
def test_without_a_login_the_pin_is_required(act: str, bench: Benches) -> None:
    open_card = bench()
    with pytest.raises(PinRequired):
        getattr(open_card, act)()


@pytest.mark.parametrize("act", ["sign", "authenticate"])
def test_a_signature_of_another_key_is_thrown_away_and_the_next_attempt_is_right(act: str, bench: Benches) -> None:
    open_card = bench(SmallCard(swaps_keys_at_master=True))
    open_card.login()
    with pytest.raises(SignatureInvalid):
        getattr(open_card, act)()
    assert getattr(open_card, act)()


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 600), value=st.integers(0, 255))
def test_a_signature_is_never_given_out_with_a_damaged_certificate(position: int, value: int) -> None:
    card = SmallCard()
    damaged = bytearray(card.contents["3F000001B0A1"])
    damaged[position] = value
    card.contents["3F000001B0A1"] = bytes(damaged)
    try:
        open_card = Benches()(card)
        open_card.login()
        signature = open_card.sign()
    except CarddError:
        return
    assert Verifier(bytes(signature_pair().der)).accepts(signature, hashlib.sha256(DOCUMENT).digest(), Algorithm.RS256)


def test_a_garbled_signature_is_thrown_away(bench: Benches) -> None:
    def garble(command: Command, response: Response) -> Response:
        return Response(b"\x00" * 256, 0x9000) if command.ins == 0x2A else response

    open_card = bench(SmallCard(mutate=garble))
    open_card.login()
    with pytest.raises(SignatureInvalid):
        open_card.sign()


def test_a_signature_over_another_document_than_the_digests_is_thrown_away(bench: Benches) -> None:
    open_card = bench(SmallCard(off_card_hash=False))
    open_card.login()
    key = open_card.opened.info.key(KeyPurpose.SIGNATURE)
    assert key
    with pytest.raises(SignatureInvalid):
        open_card.opened.sign(key, Algorithm.RS256, Message(hashlib.sha256(b"one").digest(), b"another"))


def test_no_key_does_the_work_of_the_other(bench: Benches) -> None:
    open_card = bench()
    open_card.login()
    signing = open_card.opened.info.key(KeyPurpose.SIGNATURE)
    proving = open_card.opened.info.key(KeyPurpose.AUTHENTICATION)
    assert signing
    assert proving
    open_card.channel.count()
    with pytest.raises(AlgorithmUnsupported):
        open_card.opened.sign(proving, Algorithm.RS256, Message(bytes(32)))
    with pytest.raises(AlgorithmUnsupported):
        open_card.opened.authenticate(signing, Algorithm.RS256, bytes(32))
    with pytest.raises(AlgorithmUnsupported):
        open_card.opened.authenticate(proving, Algorithm.RS256, bytes(20))
    assert open_card.channel.count() == 0


def test_a_refusal_without_remedy_is_told_as_it_is(bench: Benches) -> None:
    def broken(command: Command, response: Response) -> Response:
        return Response(b"", 0x6F00) if command.ins == 0x88 else response

    open_card = bench(SmallCard(mutate=broken))
    open_card.login()
    with pytest.raises(CardRefused) as told:
        open_card.authenticate()
    assert told.value.params == {"command": "INTERNAL AUTHENTICATE", "sw": "6F00"}


def test_certificates_not_yet_read_are_read_after_the_signature_and_not_before() -> None:
    card = SmallCard(select_forgets_login=True)
    channel = CountingChannel(card.process)
    opened = Cps3Driver().open(channel, CardKind.CPS3)
    key = opened.info.key(KeyPurpose.SIGNATURE)
    assert key
    with Secret.of(b"1234") as pin:
        opened.verify(pin)
    assert opened.sign(key, Algorithm.RS256, Message(bytes(32)))
