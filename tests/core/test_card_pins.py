"""Rules 3 and 4 at one card: for whom a PIN is sent, to which card, how often, and who waits after a wrong one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cardd.core.card_access import CardAccess
from cardd.core.card_transaction import HolderVerification, PinForEach
from cardd.core.pin_guard import PinGuard
from cardd.errors import (
    CarddError,
    CardMute,
    CardRemoved,
    CardReset,
    LastTryRefused,
    PinBackOff,
    PinRequired,
    PinWrong,
    PukWrong,
    ReaderNotYours,
    SessionClosed,
    SignatureInvalid,
)
from cardd.model import CallerKey, PinState
from cardd.secret import Secret
from cardd.values import replace
from cardd_simulators.cards.behaviour import Behaviour
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from cardd_simulators.cards.store import Issued
from tests.core.conftest import PIN
from tests.core.test_card_access import PSO, VERIFY, instructions, opener, sign, wrong
from tests.core.test_pinpad import Keypad, KeypadReader
from tests.rig.memory import ManualClock

ME, OTHER = CallerKey(1000, "lps"), CallerKey(1000, "other")
PUK, NEW = "12345678", "2580"


class Presenting:
    """A card that callers present PINs to; ``refused`` may present none, and ``told`` counts the cards that changed."""

    def __init__(self, reader: InProcessReader, card: SimulatedCard, **more: float) -> None:
        self.reader, self.card, self.clock = reader, card, ManualClock()
        self.refused: set[CallerKey] = set()
        self.replaced = 0
        self.access = CardAccess(
            reader,
            PinGuard(self.clock),
            hold=30.0,
            timeout=5,
            tries_known=60.0,
            admit=self._admit,
            replaced=self._replaced,
            **more,  # type: ignore[arg-type] # seconds
        )

    def _admit(self, caller: CallerKey) -> None:
        if caller in self.refused:
            raise ReaderNotYours

    def _replaced(self, _access: CardAccess) -> None:
        self.replaced += 1

    def login(self, pin: str = PIN, caller: CallerKey | None = ME, **more: object) -> HolderVerification:
        return replace(HolderVerification("a", Secret.of(pin.encode()), caller=caller), **more)

    async def use(self, login: HolderVerification) -> None:
        await self.access.use(lambda _: None, login)

    async def fails(self, login: HolderVerification) -> CarddError:
        with pytest.raises(CarddError) as told:
            await self.use(login)
        return told.value

    async def tries(self) -> int | None:
        """Ask the card how many tries it has, without a login."""
        return (await self.access.use(lambda card: card.pin_status())).tries_left

    def sent(self, start: int) -> list[int]:
        return instructions(self.card, start)

    async def close(self) -> None:
        await self.access.close()
        await self.reader.close()


@pytest_asyncio.fixture
async def presenting(simulated_card: SimulatedCard) -> AsyncIterator[Presenting]:
    made = Presenting(InProcessReader("Lecteur de test", simulated_card, opener()), simulated_card)
    await made.access.certificates()
    yield made
    await made.close()


async def test_who_may_present_no_code_reaches_the_card_by_no_way(presenting: Presenting) -> None:
    presenting.refused = {ME}
    before = presenting.card.count
    login = presenting.login()
    for ask in (
        presenting.use(login),
        presenting.access.change_pin(login, Secret.of(NEW.encode())),
        presenting.access.change_pin(replace(login, accepted=True), Secret.of(NEW.encode())),
        presenting.access.unblock_pin(Secret.of(PUK.encode()), Secret.of(NEW.encode()), ME),
    ):
        with pytest.raises(ReaderNotYours):
            await ask
    with pytest.raises(ReaderNotYours):
        presenting.access.ensure_presentable(ME)
    assert presenting.card.count == before
    presenting.access.ensure_presentable(OTHER)
    await presenting.use(replace(login, caller=OTHER))
    await presenting.use(replace(login, accepted=True))  # a held one asks nobody anything


async def test_a_wrong_pin_counts_for_its_caller_who_waits(presenting: Presenting) -> None:
    for _ in range(2):
        assert type(await presenting.fails(presenting.login("0000"))) is PinWrong
    before = presenting.card.count
    refusal = await presenting.fails(presenting.login(spend_last_try=True))
    assert (type(refusal), presenting.sent(before)) == (PinBackOff, [])
    with pytest.raises(PinBackOff):
        presenting.access.ensure_presentable(ME)
    presenting.access.ensure_presentable(OTHER)
    await presenting.use(presenting.login(caller=OTHER, spend_last_try=True))
    presenting.clock.seconds += 3
    presenting.access.ensure_presentable(ME)
    await presenting.use(presenting.login())


async def test_the_last_try_is_spent_where_the_person_agreed_and_never_by_a_held_pin(presenting: Presenting) -> None:
    wrong(presenting.card, 2)
    before = presenting.card.count
    refusal = await presenting.fails(presenting.login())
    assert (type(refusal), refusal.params) == (LastTryRefused, {"tries_left": 1})
    assert type(await presenting.fails(presenting.login(accepted=True))).__mro__[1] is PinRequired
    assert presenting.sent(before) == [VERIFY] * 2  # the card was asked, and got no PIN
    await presenting.use(presenting.login(spend_last_try=True))
    assert await presenting.tries() == 3


async def test_a_card_without_the_sessions_certificates_gets_no_pin_and_is_told_to_be_another(
    presenting: Presenting,
) -> None:
    mine = frozenset(certificate.der for certificate in await presenting.access.certificates())
    before = presenting.card.count
    assert type(await presenting.fails(presenting.login(certificates=mine | {b"another"}))) is CardRemoved
    assert (VERIFY in presenting.sent(before), presenting.replaced) == (False, 1)
    await presenting.use(presenting.login(certificates=mine))
    await presenting.use(presenting.login(certificates=frozenset(list(mine)[:1])))
    assert presenting.replaced == 1


async def test_a_session_that_ended_while_its_request_waited_gets_nothing_sent(presenting: Presenting) -> None:
    def ended() -> None:
        raise SessionClosed(reason="logout")

    before = presenting.card.count
    for accepted in (True, False):
        refusal = await presenting.fails(presenting.login(accepted=accepted, ensure_wanted=ended))
        assert type(refusal) is SessionClosed
    assert presenting.sent(before) == []


async def test_a_session_that_ends_while_its_pin_is_sent_has_no_work_done_and_the_card_is_reset(
    presenting: Presenting,
) -> None:
    has_ended = threading.Event()

    def ensure_wanted() -> None:
        if has_ended.is_set():
            raise SessionClosed(reason="logout")

    done: list[int] = []
    login = presenting.login(ensure_wanted=ensure_wanted, spend_last_try=True)
    assert login.is_wanted
    presenting.reader.do_during(VERIFY, has_ended.set)
    resets = presenting.card.resets
    with pytest.raises(SessionClosed):
        await presenting.access.use(lambda _: done.append(1), login)
    assert (done, presenting.card.resets, login.is_wanted) == ([], resets + 1, False)


async def test_a_login_whose_pin_was_wiped_is_wanted_no_more(presenting: Presenting) -> None:
    login = presenting.login()
    assert login.pin
    login.pin.wipe()
    assert not login.is_wanted
    assert HolderVerification("a", None).is_wanted  # the keypad asks


async def test_the_card_is_not_asked_about_its_pin_while_a_session_is_logged_in(presenting: Presenting) -> None:
    await presenting.use(presenting.login(spend_last_try=True))
    before = presenting.card.count
    assert await presenting.access.pin_state() is PinState.READY
    assert presenting.sent(before) == []
    await presenting.access.logout("a")
    await presenting.access.pin_state()
    assert presenting.sent(before) == [VERIFY]


async def test_a_failure_in_the_work_ends_the_login_with_a_reset(presenting: Presenting) -> None:
    def fail(_: object) -> None:
        raise ReaderNotYours

    resets = presenting.card.resets
    with pytest.raises(ReaderNotYours):
        await presenting.access.use(fail, presenting.login())
    assert presenting.card.resets == resets + 1
    before = presenting.card.count
    await presenting.use(presenting.login(accepted=True))
    assert VERIFY in presenting.sent(before)


async def test_work_without_a_login_ends_without_a_reset_unless_it_wants_one(presenting: Presenting) -> None:
    resets = presenting.card.resets
    await presenting.tries()
    assert presenting.card.resets == resets
    await presenting.access.use(lambda card: card.pin_status(), reset=True)
    assert presenting.card.resets == resets + 1


async def test_a_card_that_wants_its_pin_for_each_signature_gets_it_from_then_on(issued: Issued) -> None:
    card = SimulatedCard(issued, pin=PIN.encode(), behaviour=Behaviour(one_signature_a_pin=True))
    presenting = Presenting(InProcessReader("Lecteur de test", card, opener()), card)
    assert not presenting.access.wants_pin_for_each
    await presenting.access.use(lambda opened: [sign(opened), sign(opened)], presenting.login())
    assert presenting.access.wants_pin_for_each
    before = card.count
    await presenting.access.use(lambda opened: [sign(opened) for _ in range(3)], presenting.login(accepted=True))
    assert [one for one in presenting.sent(before) if one in (VERIFY, PSO)] == [
        PSO if n % 2 else VERIFY for n in range(6)
    ]
    await presenting.access.logout("a")
    before = card.count
    await presenting.access.use(sign, presenting.login(accepted=True))
    assert [one for one in presenting.sent(before) if one in (VERIFY, PSO)] == [VERIFY, PSO]
    await presenting.close()


async def test_a_held_pin_that_a_card_wants_again_does_not_wait_for_its_callers_mistakes(issued: Issued) -> None:
    card = SimulatedCard(issued, pin=PIN.encode(), behaviour=Behaviour(one_signature_a_pin=True))
    presenting = Presenting(InProcessReader("Lecteur de test", card, opener()), card)
    await presenting.use(presenting.login())
    await presenting.fails(presenting.login("0000", session="b"))
    await presenting.fails(presenting.login("0000", session="b"))
    await presenting.use(presenting.login(session="c", caller=OTHER, spend_last_try=True))
    await presenting.access.use(lambda opened: [sign(opened), sign(opened)], presenting.login(accepted=True))
    with pytest.raises(PinBackOff):
        presenting.access.ensure_presentable(ME)
    await presenting.close()


@pytest.mark.parametrize(
    ("error", "is_told"), [(CardMute(), 1), (CardReset(), 0), (SignatureInvalid(), 0)], ids=["mute", "reset", "invalid"]
)
async def test_only_a_card_that_goes_mute_is_told_to_have_been_taken_and_each_is_read_anew(
    presenting: Presenting, error: CarddError, is_told: int
) -> None:
    def fail(_: object) -> None:
        raise error

    before = presenting.card.count
    with pytest.raises(type(error)):
        await presenting.access.use(fail)
    assert presenting.replaced == is_told
    await presenting.access.certificates()
    assert presenting.card.count > before + 10


@pytest.mark.parametrize(("times", "typed", "fails"), [(1, 1, PinForEach), (2, 2, None)])
async def test_a_keypad_asks_once_more_only_where_its_person_was_told(
    issued: Issued, times: int, typed: int, fails: type[CarddError] | None
) -> None:
    card = SimulatedCard(issued, pin=PIN.encode(), behaviour=Behaviour(one_signature_a_pin=True))
    keypad = Keypad()
    keypad.typed = [PIN] * 3
    presenting = Presenting(KeypadReader("Lecteur à clavier", card, keypad), card)
    login = HolderVerification("a", None, caller=ME, times=times)
    asking = presenting.access.use(lambda opened: [sign(opened), sign(opened)], login, operations=2)
    if fails:
        with pytest.raises(fails):
            await asking
    else:
        assert len(await asking) == 2
    assert len(keypad.asked) == typed
    assert presenting.access.has_pinpad
    await presenting.close()


async def test_a_new_pin_is_set_with_the_old_one_and_the_login_ends(presenting: Presenting) -> None:
    resets = presenting.card.resets
    await presenting.access.change_pin(presenting.login(), Secret.of(NEW.encode()))
    await presenting.access.logout("a")
    assert presenting.card.resets == resets + 1
    await presenting.use(presenting.login(NEW))
    assert type(await presenting.fails(presenting.login())) is PinWrong


async def test_who_has_to_wait_changes_no_pin_with_a_held_one_either(presenting: Presenting) -> None:
    for _ in range(2):
        await presenting.fails(presenting.login("0000"))
    await presenting.use(presenting.login(caller=OTHER, spend_last_try=True))
    with pytest.raises(PinBackOff):
        await presenting.access.change_pin(presenting.login(accepted=True), Secret.of(NEW.encode()))
    await presenting.access.change_pin(presenting.login(accepted=True, caller=OTHER), Secret.of(NEW.encode()))


async def test_a_pin_is_unblocked_with_the_puk_and_wrong_ones_wait(presenting: Presenting) -> None:
    wrong(presenting.card, 3)
    new, resets = Secret.of(NEW.encode()), presenting.card.resets
    for _ in range(2):
        with pytest.raises(PukWrong):
            await presenting.access.unblock_pin(Secret.of(b"00000000"), new, ME)
    with pytest.raises(PinBackOff):
        presenting.access.ensure_presentable(ME)
    presenting.access.ensure_presentable(OTHER)
    before = presenting.card.count
    with pytest.raises(PinBackOff):
        await presenting.access.unblock_pin(Secret.of(PUK.encode()), new, ME)
    assert presenting.sent(before) == []
    presenting.clock.seconds += 3
    await presenting.access.unblock_pin(Secret.of(PUK.encode()), new, ME)
    assert presenting.card.resets == resets + 4  # none leaves the card verified
    await presenting.use(presenting.login(NEW))


async def test_a_card_that_nobody_needs_is_let_go_and_read_anew_before_it_gets_a_pin(
    simulated_card: SimulatedCard,
) -> None:
    presenting = Presenting(InProcessReader("Lecteur de test", simulated_card, opener()), simulated_card, linger=0.01)
    before = simulated_card.count
    await presenting.use(presenting.login())
    at_first = simulated_card.count - before
    await asyncio.sleep(0.05)  # a session needs it
    before = simulated_card.count
    await presenting.use(presenting.login(accepted=True))
    assert simulated_card.count == before
    await presenting.access.logout("a")
    await asyncio.sleep(0.1)
    await presenting.use(presenting.login(accepted=True))
    assert simulated_card.count - before >= at_first - 1  # but for the question of its tries
    before = simulated_card.count
    await presenting.use(presenting.login(session="b", accepted=True))
    assert presenting.sent(before) == [VERIFY]
    await presenting.close()


async def test_a_card_that_was_swapped_unseen_while_a_login_was_held_is_known_no_more(
    presenting: Presenting, issued: Issued
) -> None:
    await presenting.use(presenting.login())
    presenting.reader.remove()
    presenting.reader.insert(SimulatedCard(issued, pin=PIN.encode()))
    await asyncio.sleep(0.12)  # nobody swaps a card faster
    assert presenting.access.known
    await presenting.access.logout("a")
    assert presenting.access.known is None


async def test_a_card_that_is_given_back_is_de_authenticated_and_gone_for_whoever_asks_more(
    presenting: Presenting,
) -> None:
    await presenting.use(presenting.login())
    resets = presenting.card.resets
    await presenting.access.close()
    assert presenting.card.resets == resets + 1
    assert type(await presenting.fails(presenting.login(accepted=True))) is CardRemoved


async def test_a_card_that_left_is_told_as_it_was_said_and_ends_its_dialogs(presenting: Presenting) -> None:
    async def asked() -> None:
        async with presenting.access.kept():
            await asyncio.Event().wait()

    dialog = asyncio.ensure_future(asked())
    await asyncio.sleep(0)
    presenting.access.lost(ReaderNotYours)
    with pytest.raises(ReaderNotYours):
        await dialog
    with pytest.raises(ReaderNotYours):
        await asked()
    assert type(await presenting.fails(presenting.login())) is ReaderNotYours
