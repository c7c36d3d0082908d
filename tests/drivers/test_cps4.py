"""The CPS4 driver on the simulated card: what it finds, what it costs, and the cards that behave otherwise."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from hypothesis import given, settings
from hypothesis import strategies as st

from cardd.apdu import Command, Protocol
from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CarddError,
    CardIncomplete,
    CardRefused,
    PinBlocked,
    PinRequired,
    PinWrong,
    SignatureInvalid,
)
from cardd.formats.certificate import facts_of
from cardd.identity.holders import identity_of
from cardd.model import Algorithm, CardKind, KeyPurpose, Message, PinInfo, PinState
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.cps4 import Cps4Driver
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.contents import CardContents
from cardd_simulators.cards.cps4 import Cps4Contents, SimulatedCps4
from cardd_simulators.cards.files import File, Folder
from cardd_simulators.cards.profiles import PROFILES
from tests.drivers.channel import CountingChannel
from tests.rig.openssl import is_issued_by, verifies
from tests.rig.simulator import simulated_card, simulated_cps4, store

DOCUMENT = b"compte rendu SIMULATION " * 20
MESSAGE = Message(hashlib.sha256(DOCUMENT).digest(), DOCUMENT)
ALGORITHMS = (Algorithm.RS256, Algorithm.PS256)
DIGEST_INFO_SHA512 = bytes.fromhex("3051300D060960864801650304020305000440")


class Candidate(SimulatedCps4):
    """The release candidate."""

    atr: ClassVar[bytes] = bytes.fromhex("3B9B188001001225006480000401009044")


class OnlyT0(SimulatedCps4):
    """The one without T=1."""

    atr: ClassVar[bytes] = bytes.fromhex("3BDC18FF00001225006480000401009000")
    protocol: ClassVar[Protocol] = Protocol.T0


class Extended(SimulatedCps4):
    """One that takes extended APDUs."""

    @staticmethod
    def _decode(apdu: bytes) -> Command:
        return Command.decode(apdu)


class Bench:
    """A CPS4 opened by the driver, its certificates read, at the beginning of a transaction."""

    def __init__(self, card: SimulatedCps4) -> None:
        self.card = card
        self.channel = CountingChannel(card.process, atr=card.power_on(), protocol=card.protocol, on_reset=card.reset)
        kind = Cps4Driver().recognise(self.channel.atr)
        assert kind
        self.opened: Card = Cps4Driver().open(self.channel, kind)
        self.opened.certificates()
        self.next_transaction()

    def next_transaction(self) -> None:
        self.channel.reset()
        self.channel.count()

    def login(self, pin: bytes = b"1234") -> None:
        with Secret.of(pin) as secret:
            self.opened.verify(secret)

    def sign(self, algorithm: Algorithm = Algorithm.RS256) -> bytes:
        key = self.opened.info.key(KeyPurpose.SIGNATURE)
        assert key
        return self.opened.sign(key, algorithm, MESSAGE)

    def authenticate(self) -> bytes:
        key = self.opened.info.key(KeyPurpose.AUTHENTICATION)
        assert key
        return self.opened.authenticate(key, Algorithm.RS256, MESSAGE.digest)

    def certificate(self, purpose: KeyPurpose) -> bytes:
        key = self.opened.info.key(purpose)
        assert key
        return next(found.der for found in self.opened.certificates() if found.key_id == key.id)


@pytest.fixture
def bench() -> Bench:
    return Bench(simulated_cps4())


def test_the_card_is_described_by_its_own_directories(bench: Bench) -> None:
    info = bench.opened.info
    assert (info.kind, info.driver, info.serial, info.label) == (
        CardKind.CPS4,
        "cps4",
        bench.card.issued.serial,
        "CPS4",
    )
    assert info.pin == PinInfo(1, "Code porteur", 4, 4, 3)
    assert {key.purpose: (key.label, key.reference, key.algorithms, key.pin) for key in info.keys} == {
        KeyPurpose.SIGNATURE: ("CPS_PRIV_SIG", 0x21, ALGORITHMS, 1),
        KeyPurpose.AUTHENTICATION: ("CPS_PRIV_AUT", 0x20, (Algorithm.RS256, Algorithm.PS256), 1),
    }


def test_opening_cold_with_both_certificates_costs_at_most_36_apdus() -> None:
    card = simulated_cps4()
    channel = CountingChannel(card.process, atr=card.power_on(), protocol=card.protocol)
    Cps4Driver().open(channel, CardKind.CPS4).certificates()
    assert channel.count() <= 36


@pytest.mark.parametrize(("kind", "most"), [(Extended, 20), (SimulatedCps4, 31)], ids=["takes", "refuses after all"])
def test_a_card_that_says_it_takes_extended_apdus_gives_a_certificate_in_two_reads(
    kind: type[SimulatedCps4], most: int
) -> None:
    card = simulated_cps4(kind=kind)
    channel = CountingChannel(card.process, atr=card.power_on(), protocol=Protocol.T1, extended=True)
    opened = Cps4Driver().open(channel, CardKind.CPS4)
    assert len(opened.certificates()) == 2
    assert channel.count() <= most


def test_everything_happens_on_channel_1(bench: Bench) -> None:
    bench.login()
    bench.sign()
    bench.authenticate()
    assert {raw[0] & 0x0F for raw in bench.channel.sent} == {1}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_signature_costs_4_apdus_with_its_pin_and_each_further_one_1(bench: Bench, algorithm: Algorithm) -> None:
    costs = []
    bench.login()
    for _ in range(5):
        bench.sign(algorithm)
        costs.append(bench.channel.count())
    assert costs == [4, 1, 1, 1, 1]


def test_an_authentication_costs_5_apdus_with_its_pin_because_the_block_is_chained(bench: Bench) -> None:
    costs = []
    bench.login()
    for _ in range(3):
        bench.authenticate()
        costs.append(bench.channel.count())
    assert costs == [5, 2, 2]


def test_without_t1_answers_are_fetched_and_cost_an_apdu_more() -> None:
    bench = Bench(simulated_cps4(kind=OnlyT0))
    costs = []
    bench.login()
    for _ in range(3):
        bench.sign()
        costs.append(bench.channel.count())
    assert costs == [5, 2, 2]


@pytest.mark.parametrize("kind", [SimulatedCps4, Candidate, OnlyT0])
@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(),
        Behaviour(strict_references=True),
        Behaviour(detour=True),
        Behaviour(strict_references=True, detour=True),
    ],
)
def test_openssl_verifies_what_every_cps4_signs(
    kind: type[SimulatedCps4], behaviour: Behaviour, tmp_path: Path
) -> None:
    bench = Bench(simulated_cps4(kind=kind, behaviour=behaviour))
    for _ in range(2):
        bench.login()
        signing = bench.certificate(KeyPurpose.SIGNATURE)
        assert verifies(tmp_path, signing, bench.sign(), DOCUMENT)
        assert verifies(tmp_path, signing, bench.sign(Algorithm.PS256), DOCUMENT, pss=True)
        assert verifies(tmp_path, bench.certificate(KeyPurpose.AUTHENTICATION), bench.authenticate(), DOCUMENT)
        bench.next_transaction()


def test_the_two_paddings_are_not_taken_for_each_other(bench: Bench, tmp_path: Path) -> None:
    bench.login()
    signing = bench.certificate(KeyPurpose.SIGNATURE)
    assert not verifies(tmp_path, signing, bench.sign(), DOCUMENT, pss=True)
    assert not verifies(tmp_path, signing, bench.sign(Algorithm.PS256), DOCUMENT)


def test_openssl_verifies_the_certificates(bench: Bench, tmp_path: Path) -> None:
    for purpose in (KeyPurpose.SIGNATURE, KeyPurpose.AUTHENTICATION):
        assert is_issued_by(tmp_path, bench.certificate(purpose), store().chain)
        assert facts_of(bench.certificate(purpose)).use == str(purpose)
    assert identity_of(bench.certificate(KeyPurpose.SIGNATURE)).national_id == PROFILES["medecin"].national_id


def test_a_card_that_wants_the_way_around_is_led_there_and_at_once_from_then_on() -> None:
    bench = Bench(simulated_cps4(behaviour=Behaviour(detour=True)))
    bench.login()
    assert bench.channel.count() == 4  # three selections, VERIFY
    bench.sign()
    assert bench.channel.count() == 2


def test_a_card_whose_keys_are_only_in_the_application_is_asked_there_at_once_from_then_on() -> None:
    bench = Bench(simulated_cps4(behaviour=Behaviour(strict_references=True)))
    costs = []
    for _ in range(2):
        bench.login()
        bench.sign()
        costs.append(bench.channel.count())
        bench.next_transaction()
    assert costs == [6, 5]


def test_a_card_that_closes_its_channel_to_us_is_refused() -> None:
    channel = CountingChannel(lambda _: b"\x68\x81", protocol=Protocol.T1)
    with pytest.raises(CardRefused) as told:
        Cps4Driver().open(channel, CardKind.CPS4)
    assert told.value.params == {"command": "SELECT", "sw": "6881"}
    assert Cps4Driver().probe(CountingChannel(lambda _: b"\x68\x81", atr=b"\x3b\x00")) is None


def test_a_card_with_an_unknown_atr_is_recognised_by_its_application() -> None:
    card = simulated_cps4()
    card.power_on()
    channel = CountingChannel(card.process, atr=bytes.fromhex("3B00"), protocol=Protocol.T1)
    assert Cps4Driver().probe(channel) is CardKind.CPS4


def test_a_cps3_has_no_channel_1() -> None:
    card = simulated_card()
    card.power_on()
    assert Cps4Driver().probe(CountingChannel(card.process, atr=bytes.fromhex("3B00"))) is None


# --- the PIN


def test_three_wrong_pins_block_the_card(bench: Bench) -> None:
    assert bench.opened.pin_status().state is PinState.READY
    for left in (2, 1):
        with pytest.raises(PinWrong) as told:
            bench.login(b"0000")
        assert told.value.params["tries_left"] == left
    assert bench.opened.pin_status().state is PinState.LAST_TRY
    for pin in (b"0000", b"1234"):
        with pytest.raises(PinBlocked):
            bench.login(pin)
    assert bench.opened.pin_status().state is PinState.BLOCKED


def test_the_readers_keypad_may_ask_for_the_pin(bench: Bench) -> None:
    bench.opened.verify(None)
    assert bench.sign()


def test_a_login_ends_with_the_transaction(bench: Bench) -> None:
    bench.login()
    bench.next_transaction()
    for act in (bench.sign, bench.authenticate):
        with pytest.raises(PinRequired):
            act()


# --- keys


def test_no_key_does_the_work_of_the_other(bench: Bench) -> None:
    signing, proving = (bench.opened.info.key(purpose) for purpose in (KeyPurpose.SIGNATURE, KeyPurpose.AUTHENTICATION))
    assert signing
    assert proving
    bench.login()
    bench.channel.count()
    with pytest.raises(AlgorithmUnsupported):
        bench.opened.sign(proving, Algorithm.RS256, MESSAGE)
    with pytest.raises(AlgorithmUnsupported):
        bench.opened.authenticate(signing, Algorithm.RS256, MESSAGE.digest)
    with pytest.raises(AlgorithmUnsupported):
        bench.opened.authenticate_info(signing, DIGEST_INFO_SHA512 + bytes(64))
    with pytest.raises(AlgorithmUnsupported):
        bench.opened.authenticate_pss(signing, "sha512", bytes(64))
    with pytest.raises(AlgorithmUnsupported):
        bench.opened.decrypt(signing, bytes(256))
    assert bench.channel.count() == 0


def test_the_authentication_key_signs_by_pss_other_hashes_and_decrypts(bench: Bench) -> None:
    proving = bench.opened.info.key(KeyPurpose.AUTHENTICATION)
    assert proving
    public = bench.card.issued.authentication.key.public_key()
    bench.login()

    pss = bench.opened.authenticate(proving, Algorithm.PS256, MESSAGE.digest)
    wider = bench.opened.authenticate_pss(proving, "sha512", hashlib.sha512(b"x").digest())
    other = bench.opened.authenticate_info(proving, DIGEST_INFO_SHA512 + hashlib.sha512(b"x").digest())
    content = bench.opened.decrypt(proving, public.encrypt(b"secret", PKCS1v15()))

    public.verify(pss, MESSAGE.digest, PSS(MGF1(SHA256()), 32), Prehashed(SHA256()))
    public.verify(wider, b"x", PSS(MGF1(SHA512()), 64), SHA512())
    public.verify(other, b"x", PKCS1v15(), SHA512())
    assert content == b"secret"


def test_a_garbled_signature_is_thrown_away(bench: Bench) -> None:
    bench.login()
    process = bench.card.process
    bench.channel.process = lambda raw: b"\x00" * 256 + b"\x90\x00" if raw[1] == 0x2A else process(raw)
    with pytest.raises(SignatureInvalid):
        bench.sign(Algorithm.PS256)


# --- other file systems


class Elsewhere(Cps4Contents):
    """No file where a CPS3 has it, and no EF.SN."""

    folder = 0x4200

    def _path(self, identifier: int) -> bytes:
        return super()._path(identifier ^ 0x0FF0)

    def files(self) -> Folder:
        master = super().files()
        application = master.child(self.folder)
        assert isinstance(application, Folder)
        for file in application.children:
            if file.identifier not in (0x5031, 0x5032):
                file.identifier ^= 0x0FF0
        master.children = [child for child in master.children if child.identifier != 0xD003]
        return master


class WithoutModulus(Cps4Contents):
    """A key directory that does not tell how long the keys are."""

    def _directories(self) -> list[File]:
        modulus, none = bytes.fromhex("02020800"), bytes.fromhex("02020000")
        return [replace(file, data=file.data.replace(modulus, none)) for file in super()._directories()]


class WithoutDirectory(Cps4Contents):
    """No EF.DIR."""

    def _master_files(self) -> list[File]:
        return super()._master_files()[1:]


def _with(contents: type[CardContents]) -> SimulatedCps4:
    kind = type("Other", (SimulatedCps4,), {"contents": contents})
    card = simulated_cps4(kind=kind)
    assert isinstance(card, SimulatedCps4)
    return card


def test_files_are_found_wherever_the_directories_say(tmp_path: Path) -> None:
    bench = Bench(_with(Elsewhere))
    assert bench.opened.info.serial == ""
    bench.login()
    assert verifies(tmp_path, bench.certificate(KeyPurpose.SIGNATURE), bench.sign(), DOCUMENT)


def test_an_authentication_needs_the_length_of_the_key() -> None:
    bench = Bench(_with(WithoutModulus))
    bench.login()
    assert bench.sign()
    with pytest.raises(CardIncomplete) as told:
        bench.authenticate()
    assert told.value.params["what"] == "modulus"


def test_a_card_without_ef_dir_is_opened_by_its_applications_name() -> None:
    assert len(Bench(_with(WithoutDirectory)).opened.certificates()) == 2


@settings(max_examples=60, deadline=None)
@given(answers=st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_a_card_that_speaks_garbage_only_raises_our_errors(answers: list[bytes]) -> None:
    turn = iter(range(10**6))
    channel = CountingChannel(lambda _: answers[next(turn) % len(answers)], protocol=Protocol.T1)
    with pytest.raises(CarddError):
        Cps4Driver().open(channel, CardKind.CPS4)


def test_the_holders_situations_of_practice_are_read_behind_the_pin(bench: Bench) -> None:
    with pytest.raises(CardRefused):
        bench.opened.situations()
    bench.login()
    assert [(one.id, one.structure, one.sector) for one in bench.opened.situations()] == [
        ("1", "499000000010001", "SA07"),
        ("2", "1990000002", "SA05"),
    ]
    bench.channel.count()
    assert len(bench.opened.situations()) == 2
    assert bench.channel.count() == 0
    assert bench.sign()
