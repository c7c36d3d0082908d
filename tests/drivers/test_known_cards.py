"""A card that proved itself is open after a few commands when it is put in again; what only looks like it is read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from cardd.apdu import Command, Response
from cardd.core.known_cards import CARDS_MAX, KnownCards
from cardd.core.readers import DriverRegistry
from cardd.driver import Card
from cardd.errors import CarddError, PinWrong, SignatureInvalid
from cardd.model import KeyPurpose
from cardd.secret import Secret
from cardd.values import replace
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_simulators.cards.card import SimulatedCard
from tests.drivers.channel import CountingChannel
from tests.drivers.conftest import Bench
from tests.drivers.small_card import SmallCard, files
from tests.drivers.test_cps4 import OnlyT0
from tests.rig.simulator import PIN, issue, simulated_card, simulated_cps4

REOPENED = 4  # serial number, certificate, and its public key in two parts
VERIFY, PSO = 0x20, 0x2A


class Desk:
    """A reader in which one card after the other is put, and what the daemon knows of them."""

    def __init__(self) -> None:
        self.registry = DriverRegistry([Cps3Driver()])

    def insert(self, card: SmallCard) -> Bench:
        """Put a card in and have it opened, certificates included."""
        card.reset()
        return self._opened(card, CountingChannel(card.process, on_reset=card.reset))

    def insert_simulated(self, card: SimulatedCard) -> Bench:
        """Put a simulated card in."""
        card.power_on()
        return self._opened(SmallCard(), CountingChannel(card.process))

    def _opened(self, card: SmallCard, channel: CountingChannel) -> Bench:
        bench = Bench(card, channel, self.registry.open(channel))
        bench.opened.certificates()
        return bench

    def use(self, card: SmallCard | None = None) -> Bench:
        """Put a card in, log in and sign; return it as it was opened."""
        bench = self.insert(card or SmallCard())
        bench.login()
        bench.sign()
        return bench


@pytest.fixture
def desk() -> Desk:
    """A daemon that has seen no card yet."""
    return Desk()


def told(card: Card) -> tuple[object, ...]:
    """All that a card tells of itself."""
    return card.info, card.certificates()


def test_a_card_that_signed_is_open_after_4_apdus_when_it_is_put_in_again(desk: Desk) -> None:
    first = told(desk.use().opened)
    again = desk.insert(SmallCard())
    assert again.channel.count() == REOPENED
    assert told(again.opened) == first
    again.login()
    again.sign()
    again.authenticate()


def test_a_login_to_a_card_that_is_open_costs_verify_and_the_question_for_the_tries(desk: Desk) -> None:
    desk.use()
    again = desk.insert(SmallCard())
    again.channel.count()
    again.opened.pin_status()
    again.login()
    assert again.channel.count() == 2


@pytest.mark.parametrize(
    ("card", "apdus"),
    [
        (lambda: SmallCard(wrong_length=True), REOPENED),
        (lambda: SmallCard(largest_read=0xE7), REOPENED),
        (lambda: SmallCard(strict_references=True), REOPENED),
    ],
    ids=["6Cxx on a short file", "E7 bytes a read", "keys inside the application"],
)
def test_cards_that_read_otherwise_are_known_again_too(card: Callable[[], SmallCard], apdus: int, desk: Desk) -> None:
    desk.use(card())
    again = desk.insert(card())
    assert again.channel.count() == apdus
    again.login()
    again.sign()


def test_a_cps4_that_speaks_t0_alone_fetches_two_answers_more() -> None:
    registry, card = DriverRegistry([Cps4Driver()]), simulated_cps4(kind=OnlyT0)
    for expected in (range(9, 99), (8,)):
        channel = CountingChannel(card.process, atr=card.power_on(), protocol=card.protocol)
        bench = Bench(SmallCard(), channel, registry.open(channel))
        assert len(bench.opened.certificates()) == 2
        assert channel.count() in expected
        bench.login()
        bench.sign()


def test_a_card_that_only_told_is_read_again(desk: Desk) -> None:
    cold = desk.insert(SmallCard()).channel.count()
    assert desk.insert(SmallCard()).channel.count() == cold


def test_another_card_with_the_same_serial_number_is_read_as_the_card_that_it_is(desk: Desk) -> None:
    doctor, nurse = issue("medecin"), replace(issue("infirmier"), serial=issue("medecin").serial)
    cards = [SimulatedCard(issued, pin=PIN) for issued in (doctor, nurse, doctor)]
    seen = []
    for card in cards:
        bench = desk.insert_simulated(card)
        seen.append({found.der for found in bench.opened.certificates()})
        bench.login()
        bench.sign()
    assert seen[0] == seen[2]
    assert not seen[0] & seen[1]
    assert desk.insert_simulated(cards[2]).channel.count() == REOPENED


def test_the_other_card_with_the_same_serial_number_costs_at_most_5_apdus_more(desk: Desk) -> None:
    desk.insert_simulated(simulated_card("infirmier"))
    cold = desk.insert_simulated(nurse := simulated_card("infirmier")).channel.count()
    doctor = SimulatedCard(replace(issue("medecin"), serial=nurse.issued.serial), pin=PIN)
    bench = desk.insert_simulated(doctor)
    bench.login()
    bench.sign()
    assert desk.insert_simulated(simulated_card("infirmier")).channel.count() <= cold + 5


def _pretends(command: Command, response: Response) -> Response:
    """Take every PIN, and sign without a key."""
    if command.ins == VERIFY and command.data:
        return Response(b"", 0x9000)
    return Response(bytes(256), 0x9000) if command.ins == PSO else response


def test_a_card_that_copies_anothers_certificates_and_lies_about_its_pin_is_not_kept_for_it(desk: Desk) -> None:
    """The liar's directory names another code as the PIN: what the next card's holder types would go to that one."""
    lies = files()["3F0000017001"].replace(bytes.fromhex("8001013004"), bytes.fromhex("8001023004"))
    liar = desk.insert(SmallCard({**files(), "3F0000017001": lies}, mutate=_pretends))
    assert liar.opened.info.pin
    assert liar.opened.info.pin.reference == 2
    liar.login()
    with pytest.raises(SignatureInvalid):
        liar.sign()
    honest = desk.insert(SmallCard())
    assert honest.opened.info.pin
    assert honest.opened.info.pin.reference == 1


def test_a_liar_is_not_kept_when_its_signature_is_wrong(desk: Desk) -> None:
    liar = desk.insert(SmallCard(mutate=_pretends))
    cold = liar.channel.count()
    liar.login()
    with pytest.raises(SignatureInvalid):
        liar.sign()
    assert desk.insert(SmallCard()).channel.count() == cold


def test_a_card_that_was_known_and_signs_wrongly_is_read_from_its_first_byte_on(desk: Desk) -> None:
    desk.use()
    copy = desk.insert(SmallCard(mutate=_pretends))
    copy.login()
    with pytest.raises(SignatureInvalid):
        copy.sign()
    assert desk.insert(SmallCard()).channel.count() > REOPENED


def test_a_card_that_refused_its_pin_is_read_from_its_first_byte_on(desk: Desk) -> None:
    desk.use()
    again = desk.insert(SmallCard())
    with pytest.raises(PinWrong), Secret.of(b"9999") as wrong:
        again.opened.verify(wrong)
    assert desk.insert(SmallCard()).channel.count() > REOPENED


@pytest.mark.parametrize("change", ["garbled", "gone", "cut short"])
def test_a_card_whose_certificate_has_changed_is_read_again(change: str, desk: Desk) -> None:
    desk.use()
    content = files()
    path = "3F000001B0A1"
    damaged = {"garbled": bytes(len(content[path])), "gone": b"", "cut short": content[path][:200]}[change]
    with contextlib.suppress(CarddError):
        assert desk.insert(SmallCard({**content, path: damaged})).channel.count() > REOPENED
    honest = desk.insert(SmallCard())
    assert honest.channel.count() > REOPENED
    assert told(honest.opened)[1] == desk.use().opened.certificates()


@pytest.mark.parametrize("exponent", ["0203000001", "0203010003"], ids=["1, which signs without a key", "another"])
def test_the_same_modulus_with_another_exponent_is_another_key(exponent: str, desk: Desk) -> None:
    desk.use()
    path = "3F000001B0A1"
    changed = files()[path].replace(bytes.fromhex("0203010001"), bytes.fromhex(exponent))
    assert changed != files()[path]
    assert desk.insert(SmallCard({**files(), path: changed})).channel.count() > REOPENED


def test_a_card_without_a_serial_number_is_read_each_time(desk: Desk) -> None:
    content = {path: data for path, data in files().items() if path[4:] != "D003"}
    cold = desk.use(SmallCard(content)).channel.count()
    assert cold > REOPENED
    assert desk.insert(SmallCard(content)).channel.count() > REOPENED


def test_cards_with_another_answer_to_reset_or_of_another_driver_are_others() -> None:
    cards = KnownCards()
    cards.of("cps3", b"\x3b").keep("99213845", "one")
    assert cards.of("cps3", b"\x3b").recall("99213845") == "one"
    assert cards.of("cps3", b"\x3f").recall("99213845") is None
    assert cards.of("cps4", b"\x3b").recall("99213845") is None


def test_the_card_that_was_used_longest_ago_makes_room() -> None:
    memory = KnownCards().of("cps3", b"\x3b")
    for number in range(CARDS_MAX):
        memory.keep(str(number), number)
    assert memory.recall("0") == 0
    memory.keep("new", "new")
    assert [serial for serial in ("0", "1", "2", "new") if memory.recall(serial) is not None] == ["0", "2", "new"]
    memory.keep("2", "read anew")
    for number in range(CARDS_MAX - 1):
        memory.keep(f"later {number}", number)
    assert [serial for serial in ("0", "2", "new") if memory.recall(serial) is not None] == ["2"]


def test_a_card_that_is_forgotten_is_unknown_and_the_others_are_not() -> None:
    cards = KnownCards()
    memory = cards.of("cps3", b"\x3b")
    for serial in ("one", "two", "three"):
        memory.keep(serial, serial)
    memory.keep("one", "one, read anew")
    memory.forget("two")
    memory.forget("of nobody")
    assert [memory.recall(serial) for serial in ("one", "two", "three")] == ["one, read anew", None, "three"]
    cards.clear()
    assert [memory.recall(serial) for serial in ("one", "two", "three")] == [None] * 3


def test_what_is_kept_has_neither_situations_nor_pin(desk: Desk) -> None:
    desk.use()
    again = desk.insert(SmallCard())
    again.channel.count()
    assert again.opened.info.key(KeyPurpose.SIGNATURE)
    with pytest.raises(CarddError):
        again.sign()  # it asks for the PIN
