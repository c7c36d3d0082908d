"""The driver against the simulated card that cardd ships: every profile, every behaviour, and what it costs."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.errors import AlgorithmUnsupported, CardGarbled, PinBlocked, PinWrong
from cardd.formats.certificate import facts_of
from cardd.identity.holders import identity_of
from cardd.model import Algorithm, CardKind, KeyPurpose, Message
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.behaviour import Behaviour, behaving
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.contents import CardContents
from cardd_simulators.cards.files import File
from cardd_simulators.cards.profiles import PROFILES, Profile
from cardd_simulators.cards.store import Store
from tests.drivers.channel import CountingChannel
from tests.rig.openssl import verifies

DOCUMENT = b"compte rendu SIMULATION " * 20
MESSAGE = Message(hashlib.sha256(DOCUMENT).digest(), DOCUMENT)


class Garbled(CardContents):
    """Situations that are none."""

    def _data(self) -> list[File]:
        return [replace(file, data=bytearray(b"\x30\x00")) for file in super()._data()]


class GarbledSituations(SimulatedCard):
    """Holds them."""

    contents = Garbled


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


def _insert(store: Store, profile: str = "medecin", behaviour: Behaviour | None = None) -> CountingChannel:
    card = SimulatedCard(store.issue(PROFILES[profile], 4), behaviour=behaviour)
    return CountingChannel(card.process, atr=card.power_on(), on_reset=card.reset)


def _open(channel: CountingChannel) -> Card:
    opened = Cps3Driver().open(channel, CardKind.CPS3)
    opened.certificates()
    return opened


def _login(opened: Card, pin: bytes = b"1234") -> None:
    with Secret.of(pin) as secret:
        opened.verify(secret)


def _certificate(opened: Card, purpose: KeyPurpose) -> bytes:
    key = opened.info.key(purpose)
    assert key
    return next(found.der for found in opened.certificates() if found.key_id == key.id)


def _sign(opened: Card, message: Message = MESSAGE) -> bytes:
    key = opened.info.key(KeyPurpose.SIGNATURE)
    assert key
    return opened.sign(key, Algorithm.RS256, message)


def _authenticate(opened: Card) -> bytes:
    key = opened.info.key(KeyPurpose.AUTHENTICATION)
    assert key
    return opened.authenticate(key, Algorithm.RS256, MESSAGE.digest)


def test_opening_cold_with_both_certificates_costs_at_most_32_apdus(store: Store) -> None:
    channel = _insert(store)
    assert Cps3Driver().recognise(channel.atr) is CardKind.CPS3
    _open(channel)
    assert channel.count() <= 32


def test_a_batch_of_10_costs_4_apdus_and_then_2_each(store: Store) -> None:
    channel = _insert(store)
    opened = _open(channel)
    channel.reset()
    channel.count()
    _login(opened)
    costs = []
    for _ in range(10):
        _sign(opened)
        costs.append(channel.count())
    assert costs == [4] + [2] * 9


@pytest.mark.parametrize(
    ("variants", "cost"),
    [
        ((), 25),
        (("no-ef-sn",), 28),
        (("no-ef-dir",), 26),
        (("ef-dir-without-paths",), 25),
        (("no-short-ids",), 30),
        (("ef-dir-without-paths", "relative-paths"), 30),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_opening_costs_is_known_of_every_variant(variants: tuple[str, ...], cost: int, store: Store) -> None:
    channel = _insert(store, behaviour=behaving(variants))
    _open(channel)
    assert channel.count() == cost


def test_a_card_that_refuses_an_empty_verify_is_asked_for_its_counters(store: Store) -> None:
    opened = _open(_insert(store, behaviour=behaving(["no-empty-verify"])))
    for left in (2, 1):
        with pytest.raises(PinWrong):
            _login(opened, b"0000")
        assert opened.pin_status().tries_left == left
    assert opened.puk_status().tries_left == 10


@pytest.mark.parametrize(
    ("behaviour", "costs"),
    [
        (Behaviour(), [4, 4]),
        (Behaviour(strict_references=True), [6, 5]),
        (Behaviour(hashes_itself=True), [10, 5]),
        (Behaviour(strict_references=True, hashes_itself=True), [9, 9, 6]),
    ],
    ids=["as known", "strict", "hashes itself", "strict and hashes itself"],
)
def test_signatures_of_every_behaviour_verify_with_openssl(
    behaviour: Behaviour, costs: list[int], store: Store, tmp_path: Path
) -> None:
    channel = _insert(store, behaviour=behaviour)
    opened = _open(channel)
    for cost in costs:
        channel.reset()
        channel.count()
        _login(opened)
        signature = _sign(opened)
        assert channel.count() == cost
        assert verifies(tmp_path, _certificate(opened, KeyPurpose.SIGNATURE), signature, DOCUMENT)
    assert verifies(tmp_path, _certificate(opened, KeyPurpose.AUTHENTICATION), _authenticate(opened), DOCUMENT)


def test_a_card_that_hashes_itself_wants_the_document(store: Store) -> None:
    opened = _open(_insert(store, behaviour=Behaviour(hashes_itself=True)))
    _login(opened)
    with pytest.raises(AlgorithmUnsupported):
        _sign(opened, Message(MESSAGE.digest))


def test_three_wrong_pins_block_the_card(store: Store) -> None:
    opened = _open(_insert(store))
    for left in (2, 1):
        with pytest.raises(PinWrong) as told:
            _login(opened, b"0000")
        assert told.value.params["tries_left"] == left
    with pytest.raises(PinBlocked):
        _login(opened, b"0000")
    assert opened.pin_status().tries_left == 0


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_every_profiles_holder_is_read_from_both_certificates(profile: Profile, store: Store) -> None:
    opened = _open(_insert(store, profile.name))
    for purpose in (KeyPurpose.SIGNATURE, KeyPurpose.AUTHENTICATION):
        der = _certificate(opened, purpose)
        identity = identity_of(der)
        assert (identity.national_id, identity.family_name, identity.given_name, identity.title) == (
            profile.national_id,
            profile.family_name,
            profile.given_name,
            profile.title,
        )
        assert identity.profession == (None if profile.profession is None else str(profile.profession))
        assert (identity.specialty, identity.card_type) == (profile.specialty, str(profile.card_type))
        assert identity.card_number == f"8025000001/26{opened.info.serial}"
        assert identity.is_test
        assert facts_of(der).use == str(purpose)


def test_the_holders_situations_cost_two_apdus_each_and_the_directory_two(store: Store) -> None:
    channel = _insert(store)
    opened = _open(channel)
    _login(opened)
    channel.count()
    assert [one.structure_name for one in opened.situations()] == ["CABINET SIMULATION", "CENTRE DE SANTE SIMULATION"]
    assert channel.count() == 6
    assert _sign(opened)


def test_a_card_whose_situations_are_garbled_says_so(store: Store) -> None:
    card = GarbledSituations(store.issue(PROFILES["medecin"], 4))
    channel = CountingChannel(card.process, atr=card.power_on(), on_reset=card.reset)
    opened = _open(channel)
    _login(opened)
    with pytest.raises(CardGarbled):
        opened.situations()
