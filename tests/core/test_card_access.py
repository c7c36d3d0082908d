"""Exclusive use of a card: one VERIFY for successive requests, none for strangers, and always a reset at the end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Generator
from functools import partial
from typing import TypeVar

import pytest
import pytest_asyncio

from cardd.core.card_access import CardAccess
from cardd.core.card_transaction import HolderVerification, InPieces, Work
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import DriverRegistry
from cardd.driver import Card, Channel
from cardd.errors import CardRemoved, CardTimeout, InternalError, LastTryRefused, PinRequired, PinWrong
from cardd.model import Algorithm, KeyPurpose, Message
from cardd.ports import CardConnection
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from cardd_simulators.cards.store import Issued
from tests.core.conftest import PIN
from tests.rig.memory import ManualClock
from tests.rig.waiting import eventually

T = TypeVar("T")

VERIFY, MSE, PSO, GET_RESPONSE = 0x20, 0x22, 0x2A, 0xC0
MESSAGE = Message(bytes(32))
STEPS_INTO_LINE = 8  # of the loop, of which a request takes a few until it waits for the card


def opener() -> Callable[[Channel], Card]:
    """Return what opens cards, and has seen none yet."""
    return DriverRegistry([Cps3Driver()]).open


def sign(card: Card) -> bytes:
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    return card.sign(key, Algorithm.RS256, MESSAGE)


def wrong(card: SimulatedCard, times: int) -> None:
    """Another program mistypes the PIN."""
    for _ in range(times):
        card.process(bytes.fromhex("0020000104") + b"0000")


def instructions(card: SimulatedCard, start: int) -> list[int]:
    return [header[1] for header in list(card.log)[start:]]


class Lease:
    """One card's access, and what reached the card."""

    def __init__(
        self,
        reader: InProcessReader,
        card: SimulatedCard,
        hold: float,
        *,
        tries_known: float = 60.0,
        timeout: float = 2.0,
    ) -> None:
        self.reader = reader
        self.card = card
        self.others = True  # whether another program may wait
        self.clock = ManualClock()
        self.access = CardAccess(
            reader,
            PinGuard(ManualClock()),
            hold=hold,
            timeout=timeout,
            tries_known=tries_known,
            others=lambda: self.others,
            now=self.clock.monotonic,
        )

    def takes(self, seconds: float) -> None:
        """Let time pass for the card."""
        self.clock.seconds += seconds

    def login(self, session: str, pin: str = PIN, *, accepted: bool = True) -> HolderVerification:
        return HolderVerification(session, Secret.of(pin.encode()), accepted=accepted)


@pytest_asyncio.fixture(params=[30.0])
async def lease(request: pytest.FixtureRequest, simulated_card: SimulatedCard) -> AsyncIterator[Lease]:
    reader = InProcessReader("Lecteur de test", simulated_card, opener())
    lease = Lease(reader, simulated_card, request.param)
    await lease.access.certificates()
    await lease.access.use(lambda _: None, lease.login("before", accepted=False))
    await lease.access.logout("before")
    yield lease
    await lease.access.close()
    await reader.close()


async def test_requests_of_one_session_share_one_verify(lease: Lease) -> None:
    before = lease.card.count
    for _ in range(3):
        await lease.access.use(sign, lease.login("a"))
    assert instructions(lease.card, before) == [VERIFY, MSE, *[PSO, GET_RESPONSE] * 3]


async def test_another_sessions_request_finds_the_card_reset(lease: Lease) -> None:
    await lease.access.use(sign, lease.login("a"))
    before, resets = lease.card.count, lease.card.resets
    await lease.access.use(sign, lease.login("b"))
    assert instructions(lease.card, before)[0] == VERIFY
    assert lease.card.resets == resets + 1


async def test_who_comes_with_many_requests_has_one_turn_before_each_other_caller_has_one(lease: Lease) -> None:
    done: list[str] = []

    async def used(session: str) -> None:
        await lease.access.use(lambda _: done.append(session), lease.login(session))

    await asyncio.gather(*(used("many") for _ in range(20)), used("one"), used("other"))

    assert sorted(done[:4]) == ["many", "many", "one", "other"]
    assert len(done) == 22


async def test_a_request_without_login_cannot_use_anothers_login(lease: Lease) -> None:
    await lease.access.use(sign, lease.login("a"))
    with pytest.raises(PinRequired):
        await lease.access.use(sign)


@pytest.mark.parametrize("lease", [0.0], indirect=True)
async def test_without_idle_hold_each_request_ends_its_transaction(lease: Lease) -> None:
    resets = lease.card.resets
    for _ in range(2):
        await lease.access.use(sign, lease.login("a"))
    await lease.access.use(lambda card: card.pin_status())  # in line behind the second release
    assert lease.card.resets == resets + 2


class ToldReader(InProcessReader):
    """Tells ``order`` of each job."""

    def __init__(self, card: SimulatedCard, order: list[str]) -> None:
        super().__init__("Lecteur de test", card, opener())
        self._order = order

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        self._order.append("card")
        return await super().run(job, timeout=timeout)


@pytest.mark.parametrize("is_kept", [False, True])
async def test_whoever_waits_for_a_signature_has_it_before_the_card_is_given_up(
    simulated_card: SimulatedCard, is_kept: bool
) -> None:
    order: list[str] = []
    reader = ToldReader(simulated_card, order)
    lease = Lease(reader, simulated_card, hold=0)
    await lease.access.use(lambda _: None, lease.login("a", accepted=False))
    await lease.access.info()
    await eventually(lambda: order == ["card", "card"])
    asked = lease.access.use(sign, lease.login("a"))
    await (asyncio.shield(asyncio.ensure_future(asked)) if is_kept else asked)  # as an answer under a key is
    order.append("answer")
    await eventually(lambda: order[2:] == ["card", "answer", "card"])
    await lease.access.close()
    await reader.close()


@pytest.mark.parametrize("lease", [0.05], indirect=True)
async def test_the_idle_hold_ends_by_itself_with_a_reset(lease: Lease) -> None:
    resets = lease.card.resets
    await lease.access.use(sign, lease.login("a"))
    assert lease.card.resets == resets
    await eventually(lambda: lease.card.resets > resets)
    assert lease.card.resets == resets + 1


async def test_logout_ends_the_transaction_of_that_session_only(lease: Lease) -> None:
    await lease.access.use(sign, lease.login("a"))
    resets = lease.card.resets
    await lease.access.logout("b")
    assert lease.card.resets == resets
    await lease.access.logout("a")
    assert lease.card.resets == resets + 1


async def test_a_pin_typed_anew_is_sent_even_while_the_login_holds(lease: Lease) -> None:
    await lease.access.use(sign, lease.login("a"))
    with pytest.raises(PinWrong) as wrong:
        await lease.access.use(sign, lease.login("a", "0000", accepted=False))
    assert wrong.value.params["tries_left"] == 2


async def test_the_tries_left_are_read_before_a_pin_that_the_card_has_not_accepted(lease: Lease) -> None:
    before = lease.card.count
    await lease.access.use(sign, lease.login("a", accepted=False))
    assert instructions(lease.card, before)[:2] == [VERIFY, VERIFY]


async def test_the_tries_left_are_read_before_a_held_pin_once_others_had_time_to_spend_them(
    simulated_card: SimulatedCard,
) -> None:
    lease = Lease(InProcessReader("Lecteur de test", simulated_card, opener()), simulated_card, 30.0, tries_known=0.0)
    await lease.access.use(sign, lease.login("a", accepted=False))
    await lease.access.logout("a")
    before = lease.card.count
    await lease.access.use(sign, lease.login("a"))
    assert instructions(lease.card, before) == [VERIFY, VERIFY, MSE, PSO, GET_RESPONSE]
    await lease.access.logout("a")
    wrong(lease.card, 2)
    with pytest.raises(PinRequired):
        await lease.access.use(sign, lease.login("a", "0000"))
    assert (await lease.access.use(lambda card: card.pin_status())).tries_left == 1
    await lease.access.close()
    await lease.reader.close()


async def test_a_refused_held_pin_is_the_last_of_any_session_until_it_logs_in_anew(lease: Lease) -> None:
    with pytest.raises(PinWrong):
        await lease.access.use(sign, lease.login("a", "0000"))
    before = lease.card.count
    for session in ("a", "b"):
        with pytest.raises(PinRequired):
            await lease.access.use(sign, lease.login(session, "0000"))
    assert lease.card.count == before
    await lease.access.use(sign, lease.login("b", accepted=False))
    await lease.access.logout("b")
    assert await lease.access.use(sign, lease.login("b"))


async def test_a_card_whose_signature_takes_the_login_gets_verify_before_each(issued: Issued) -> None:
    card = SimulatedCard(issued, pin=PIN.encode(), behaviour=Behaviour(one_signature_a_pin=True))
    lease = Lease(InProcessReader("Lecteur de test", card, opener()), card, 30.0)
    before = card.count
    await lease.access.use(lambda opened: [sign(opened) for _ in range(3)], lease.login("a", accepted=False))
    signing = [MSE, PSO, GET_RESPONSE]
    told = instructions(card, before)
    assert told[-len(signing) - 1 :] == [VERIFY, *signing]  # known after the first refusal
    assert told.count(PSO) == 4
    before = card.count
    assert await lease.access.use(sign, lease.login("a"))
    assert instructions(card, before) == [VERIFY, *signing]
    await lease.access.close()
    await lease.reader.close()


async def test_the_last_try_is_not_spent_unasked(lease: Lease) -> None:
    for _ in range(2):
        with pytest.raises(PinWrong):
            await lease.access.use(sign, lease.login("a", "0000", accepted=False))
    with pytest.raises(LastTryRefused):
        await lease.access.use(sign, lease.login("a", "0000", accepted=False))
    status = await lease.access.use(lambda card: card.pin_status())
    assert status.tries_left == 1


async def test_a_pin_wiped_while_its_request_waited_is_not_sent(lease: Lease) -> None:
    login = lease.login("a")
    assert login.pin
    login.pin.wipe()
    before = lease.card.count
    with pytest.raises(PinRequired):
        await lease.access.use(sign, login)
    assert lease.card.count == before


async def test_a_wiped_pin_gives_no_signature_even_while_its_login_holds(lease: Lease) -> None:
    login = lease.login("a")
    await lease.access.use(sign, login)
    assert login.pin
    login.pin.wipe()
    with pytest.raises(PinRequired):
        await lease.access.use(sign, login)


async def test_public_data_is_read_once(lease: Lease) -> None:
    before = lease.card.count
    await lease.access.info()
    await lease.access.certificates()
    assert lease.card.count == before


async def test_public_data_is_read_again_after_another_program_reset_the_card(lease: Lease) -> None:
    lease.reader.reset_by_another_program()
    await lease.access.use(lambda card: card.pin_status())
    before = lease.card.count
    await lease.access.certificates()
    assert lease.card.count > before + 10


async def test_our_own_reset_keeps_public_data(lease: Lease) -> None:
    await lease.access.use(sign, lease.login("a"))
    await lease.access.logout("a")
    before = lease.card.count
    await lease.access.certificates()
    assert lease.card.count == before


async def test_a_card_pulled_in_the_middle_of_a_signature_is_told_and_the_lease_is_over(lease: Lease) -> None:
    lease.reader.remove_during(PSO)
    with pytest.raises(CardRemoved):
        await lease.access.use(sign, lease.login("a"))
    lease.access.lost()
    with pytest.raises(CardRemoved):
        await lease.access.use(sign, lease.login("a"))


async def test_a_cancelled_caller_leaves_the_operation_whole(lease: Lease) -> None:
    before = lease.card.count
    request = asyncio.ensure_future(lease.access.use(sign, lease.login("a")))
    await asyncio.sleep(0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await lease.access.use(sign, lease.login("a"))
    assert instructions(lease.card, before) == [VERIFY, MSE, *[PSO, GET_RESPONSE] * 2]


async def test_work_that_takes_too_long_is_given_up(simulated_card: SimulatedCard) -> None:
    lease = Lease(InProcessReader("Lecteur de test", simulated_card, opener()), simulated_card, 30.0, timeout=0.1)
    gate = threading.Event()
    with pytest.raises(CardTimeout):
        await lease.access.use(lambda _: gate.wait(10))
    gate.set()
    await lease.access.close()
    await lease.reader.close()


async def test_a_card_that_hangs_while_it_is_given_back_leaves_no_unheard_error(
    lease: Lease, caplog: pytest.LogCaptureFixture
) -> None:
    lease.access.release_timeout = 0.1
    goes_on = threading.Event()
    await lease.access.use(sign, lease.login("a"))
    lease.reader.do_during_reset(partial(goes_on.wait, 10))
    await lease.access.logout("a")
    with pytest.raises(CardTimeout):
        await lease.access.use(sign)
    goes_on.set()
    gc.collect()
    await asyncio.sleep(0)
    assert "never retrieved" not in caplog.text


async def test_a_drivers_bug_ends_in_an_internal_error_and_not_in_silence(lease: Lease) -> None:
    def bug(_: Card) -> None:
        raise ZeroDivisionError

    with pytest.raises(InternalError):
        await lease.access.use(bug)
    assert await lease.access.use(sign, lease.login("a"))


# --- work in pieces, between which others have the card


class Piecework:
    """Some signatures, each a piece; ``between`` is called after each, on the reader's thread."""

    def __init__(self, count: int, between: Callable[[int], object] = lambda _: None) -> None:
        self.count = count
        self.between = between

    def begin(self, card: Card) -> Generator[None, Card, list[bytes]]:
        values: list[bytes] = []
        for number in range(self.count):
            if values:
                self.between(number)
                card = yield
            values.append(sign(card))
        return values


@pytest.fixture
def short_turns(lease: Lease) -> None:
    """A turn is over after a second, and leaves the card free for a moment."""
    lease.access.turns.turn, lease.access.turns.free = 1.0, 0.0


async def test_work_in_pieces_that_is_short_is_one_turn(lease: Lease) -> None:
    before = lease.card.count
    assert len(await lease.access.use(InPieces(Piecework(3).begin), lease.login("a"))) == 3
    assert instructions(lease.card, before) == [VERIFY, MSE, *[PSO, GET_RESPONSE] * 3]


@pytest.mark.usefixtures("short_turns")
async def test_long_work_in_pieces_leaves_the_card_free_after_each_turn(lease: Lease) -> None:
    work = Piecework(6, lambda _: lease.takes(0.6))
    before, resets = lease.card.count, lease.card.resets
    assert len(set(await lease.access.use(InPieces(work.begin), lease.login("a")))) == 1
    two = [VERIFY, MSE, *[PSO, GET_RESPONSE] * 2]  # a turn; no question of the tries between
    assert instructions(lease.card, before) == two * 3
    assert lease.card.resets - resets == 2


@pytest.mark.usefixtures("short_turns")
async def test_long_work_loses_nothing_to_others_where_there_are_none(lease: Lease) -> None:
    lease.others = False
    work = Piecework(8, lambda _: lease.takes(0.6))
    before, resets = lease.card.count, lease.card.resets
    assert len(await lease.access.use(InPieces(work.begin), lease.login("a"))) == 8
    await lease.access.use(sign, lease.login("a"))
    assert instructions(lease.card, before) == [VERIFY, MSE, *[PSO, GET_RESPONSE] * 9]
    assert lease.card.resets == resets


@pytest.mark.usefixtures("short_turns")
async def test_a_program_that_comes_meanwhile_has_the_card_after_that_turn(lease: Lease) -> None:
    lease.others = False
    came = 5

    def between(number: int) -> None:
        lease.others = number >= came
        lease.takes(1.5)  # more than a turn

    before = lease.card.count
    await lease.access.use(InPieces(Piecework(8, between).begin), lease.login("a"))
    sent = instructions(lease.card, before)
    assert sent.count(VERIFY) == 1 + 3  # after the pieces 5, 6 and 7
    assert sent.index(VERIFY, 1) > [place for place, one in enumerate(sent) if one == PSO][came - 1]


@pytest.mark.usefixtures("short_turns")
async def test_a_program_that_cannot_be_seen_has_the_card_after_a_while(lease: Lease) -> None:
    lease.others, lease.access.turns.unseen = False, 4.0
    before = lease.card.count
    await lease.access.use(InPieces(Piecework(8, lambda _: lease.takes(1.5)).begin), lease.login("a"))
    three = [VERIFY, MSE, *[PSO, GET_RESPONSE] * 3]
    assert instructions(lease.card, before) == [*three * 2, VERIFY, MSE, *[PSO, GET_RESPONSE] * 2]


@pytest.mark.usefixtures("short_turns")
async def test_another_program_gets_the_card_between_two_pieces(lease: Lease) -> None:
    waits = threading.Event()

    def between(_: int) -> None:
        assert waits.wait(10)
        lease.takes(1.5)

    running = asyncio.ensure_future(lease.access.use(InPieces(Piecework(6, between).begin), lease.login("a")))
    await eventually(lambda: PSO in instructions(lease.card, 0))
    lease.reader.reset_by_another_program()  # as soon as the card is free
    waits.set()
    assert len(await running) == 6


async def test_our_own_callers_go_first_after_a_share(lease: Lease) -> None:
    lease.access.turns.shared, lease.access.turns.least = 1.0, 0.1
    ended: list[str] = []
    is_in_line = threading.Event()

    def between(_: int) -> None:
        assert is_in_line.wait(10)
        lease.takes(0.3)

    async def use(name: str, what: Work[object]) -> None:
        await lease.access.use(what, lease.login(name))
        ended.append(name)

    long = asyncio.ensure_future(use("long", InPieces(Piecework(10, between).begin)))
    await eventually(lambda: PSO in instructions(lease.card, 0))
    short = asyncio.ensure_future(use("short", sign))
    for _ in range(STEPS_INTO_LINE):
        await asyncio.sleep(0)
    is_in_line.set()
    await asyncio.gather(long, short)
    assert ended == ["short", "long"]


@pytest.mark.usefixtures("short_turns")
async def test_work_in_pieces_whose_pin_was_wiped_ends_between_two(lease: Lease) -> None:
    login = lease.login("a")
    pin = login.pin
    assert pin
    done: list[int] = []

    def between(number: int) -> None:
        done.append(number)
        if number == 2:
            pin.wipe()

    with pytest.raises(PinRequired):
        await lease.access.use(InPieces(Piecework(40, between).begin), login)
    assert done == [1, 2]


@pytest.mark.usefixtures("short_turns")
async def test_work_in_pieces_that_nobody_wants_any_more_ends_between_two(lease: Lease) -> None:
    done: list[int] = []
    is_unwanted = threading.Event()

    def between(number: int) -> None:
        done.append(number)
        assert is_unwanted.wait(10)
        lease.takes(1.5)

    running = asyncio.ensure_future(lease.access.use(InPieces(Piecework(40, between).begin), lease.login("a")))
    await eventually(lambda: bool(done))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    is_unwanted.set()
    for session in ("b", "c"):  # in line behind it, and behind what might come of it
        await lease.access.use(sign, lease.login(session))
    assert done == [1]


@pytest.mark.usefixtures("short_turns")
async def test_a_pin_that_was_changed_between_two_pieces_costs_one_try(lease: Lease) -> None:
    def between(number: int) -> None:
        if number == 1:
            lease.card.process(bytes.fromhex("0024000108") + PIN.encode() + b"2580")
        lease.takes(1.5)

    with pytest.raises(PinWrong) as wrong:
        await lease.access.use(InPieces(Piecework(4, between).begin), lease.login("a", accepted=False))
    assert wrong.value.params["tries_left"] == 2
