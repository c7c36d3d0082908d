"""A reader with a keypad of its own: the PIN never reaches this machine, and the user is told where to type."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
import pytest_asyncio

from cardd.apdu import Command, Response
from cardd.core.consents import SignatureRequest
from cardd.core.readers import DriverRegistry
from cardd.driver import Card
from cardd.errors import PinCancelled, PinWrong, RefusedTooOften
from cardd.model import Algorithm, Choice, Message, Outcome, PinInfo
from cardd.ports import CardConnection
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_simulators.cards.behaviour import behaving
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader
from cardd_simulators.cards.store import Issued
from tests.core.conftest import CALLER, OTHER, PIN, Core, make_turns_short

T = TypeVar("T")

REQUEST = SignatureRequest(Algorithm.RS256, Message(hashlib.sha256(b"x").digest()), "x.pdf")


class Keypad:
    """What the user types on the reader; None stands for the cancel key."""

    def __init__(self) -> None:
        self.typed: list[str | None] = []
        self.asked: list[PinInfo] = []


class KeypadConnection:
    """A connection whose reader asks for the PIN itself, and sends the command with it."""

    has_pinpad = True

    def __init__(self, inner: CardConnection, keypad: Keypad) -> None:
        self._inner = inner
        self._keypad = keypad

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open(self) -> Card:
        return DriverRegistry([Cps3Driver()]).open(self)  # type: ignore[arg-type] # by __getattr__

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        self._keypad.asked.append(pin)
        typed = self._keypad.typed.pop(0)
        if typed is None:
            raise PinCancelled
        return self._inner.transmit_secret(command, Secret.of(typed.encode()))


class KeypadReader(InProcessReader):
    def __init__(self, name: str, card: SimulatedCard, keypad: Keypad) -> None:
        super().__init__(name, card)
        self._keypad = keypad

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        def with_keypad(connection: CardConnection) -> T:
            wrapped: CardConnection = KeypadConnection(connection, self._keypad)  # type: ignore[assignment] # by __getattr__
            return job(wrapped)

        return await super().run(with_keypad, timeout=timeout)


@pytest.fixture
def keypad() -> Keypad:
    return Keypad()


@pytest_asyncio.fixture
async def core(simulated_card: SimulatedCard, keypad: Keypad) -> AsyncIterator[Core]:
    core = Core(KeypadReader("Lecteur à clavier", simulated_card, keypad), simulated_card)
    await core.start()
    yield core
    await core.stop()


async def test_the_pin_is_typed_on_the_reader_and_the_screen_says_so(core: Core, keypad: Keypad) -> None:
    keypad.typed = [PIN]
    session, _ = await core.login.open(CALLER, None)
    assert session.pin is None
    assert core.person.pin_questions == []
    assert [(question.topic, question.params["reader"]) for question in core.person.questions] == [
        ("login", "Lecteur à clavier")
    ]
    assert [(pin.minimum, pin.maximum) for pin in keypad.asked] == [(4, 4)]


async def test_programs_are_told_that_the_pin_is_typed_on_the_reader(core: Core, keypad: Keypad) -> None:
    heard = core.events.subscribe(CALLER.key, public=False)
    keypad.typed = [PIN]
    await core.login.open(CALLER, None)
    opened = await heard.next()
    assert opened
    assert (opened.type, opened.data["topic"], opened.data["keypad"]) == ("prompt.opened", "login", True)


async def test_each_signature_is_typed_anew_because_nothing_is_held(core: Core, keypad: Keypad) -> None:
    keypad.typed = [PIN, PIN, PIN]
    session, _ = await core.login.open(CALLER, None)
    for _ in range(2):
        await core.signing.sign(session, [REQUEST], None)
    assert len(keypad.asked) == 3
    shown = core.person.questions[-1]
    assert (shown.topic, shown.params["client"], shown.params["document"]) == ("sign", "LPS de test", "x.pdf")


async def test_a_wrong_pin_on_the_keypad_is_asked_again_and_told(core: Core, keypad: Keypad) -> None:
    keypad.typed = ["0000", None]
    with pytest.raises(PinWrong) as wrong:
        await core.login.open(CALLER, None)
    assert wrong.value.params["tries_left"] == 2


async def test_the_cancel_key_ends_the_login(core: Core, keypad: Keypad) -> None:
    keypad.typed = [None]
    with pytest.raises(PinCancelled):
        await core.login.open(CALLER, None)
    await asyncio.sleep(0)
    assert core.sessions.of(1000) == []


def batch(count: int) -> list[SignatureRequest]:
    return [
        SignatureRequest(Algorithm.RS256, Message(hashlib.sha256(name.encode()).digest()), name)
        for name in (f"{number}.pdf" for number in range(count))
    ]


class TestACardThatWantsItsPinForEachSignature:
    @pytest.fixture
    def simulated_card(self, issued: Issued) -> SimulatedCard:
        return SimulatedCard(issued, pin=PIN.encode(), behaviour=behaving(["one-signature-a-pin"]))

    async def test_a_batch_says_before_how_often_it_will_be_typed(self, core: Core, keypad: Keypad) -> None:
        keypad.typed = [PIN, PIN, *[PIN] * 3]
        session, _ = await core.login.open(CALLER, None)
        core.person.questions.clear()
        signed = await core.signing.sign(session, batch(3), None)
        assert len({one.signature for one in signed}) == 3
        assert keypad.typed == []
        asked = [(question.topic, question.params.get("times")) for question in core.person.questions]
        untold, told = [("sign_batch", None)] * 2, [("sign_batch", 3)] * 2
        assert asked == untold + told  # each a list to agree to, then the message beside the keypad
        assert [row.outcome for row in core.audit.entries if row.action == "signature.raw"] == [Outcome.DONE] * 3

    async def test_the_next_batch_says_it_at_once_and_may_be_refused(self, core: Core, keypad: Keypad) -> None:
        keypad.typed = [PIN, PIN, PIN, PIN]
        session, _ = await core.login.open(CALLER, None)
        await core.signing.sign(session, batch(2), None)
        core.person.questions.clear()
        core.person.choices = [Choice.NO]
        with pytest.raises(PinCancelled):
            await core.signing.sign(session, batch(5), None)
        assert [question.params["times"] for question in core.person.questions] == [5]

    async def test_a_batch_that_is_given_up_half_way_gives_no_signature(self, core: Core, keypad: Keypad) -> None:
        keypad.typed = [PIN, PIN, PIN, None]
        session, _ = await core.login.open(CALLER, None)
        with pytest.raises(PinCancelled):
            await core.signing.sign(session, batch(2), None)
        assert Outcome.DONE not in [row.outcome for row in core.audit.entries if row.action == "signature.raw"]
        keypad.typed = [PIN]
        assert await core.signing.sign(session, [REQUEST], None)

    async def test_what_is_no_list_is_typed_once_after_a_list_too(self, core: Core, keypad: Keypad) -> None:
        keypad.typed = [PIN] * 5
        session, _ = await core.login.open(CALLER, None)
        await core.signing.sign(session, batch(2), None)
        core.person.questions.clear()
        await core.signing.authenticate(session, "n" * 44)
        assert [(question.topic, question.params.get("times")) for question in core.person.questions] == [
            ("unlock", None)
        ]
        assert keypad.typed == []

    async def test_single_signatures_are_typed_once_each(self, core: Core, keypad: Keypad) -> None:
        keypad.typed = [PIN, PIN, PIN]
        session, _ = await core.login.open(CALLER, None)
        for _ in range(2):
            await core.signing.sign(session, [REQUEST], None)
        assert keypad.typed == []
        assert not any("times" in question.params for question in core.person.questions)


async def test_the_cancel_key_counts_as_a_refusal(core: Core, keypad: Keypad) -> None:
    keypad.typed = [None] * 3
    for _ in range(3):
        with pytest.raises(PinCancelled):
            await core.login.open(CALLER, None)
    with pytest.raises(RefusedTooOften):
        await core.login.open(CALLER, None)
    assert len(keypad.asked) == 3  # the keypad stays dark
    keypad.typed = [PIN]
    assert await core.login.open(OTHER, None)


async def test_a_long_list_is_one_turn_for_nobody_could_type_the_pin_again(core: Core, keypad: Keypad) -> None:
    keypad.typed = [PIN, PIN]
    session, _ = await core.login.open(CALLER, None)
    make_turns_short(core)
    resets = core.card.resets
    assert len(await core.signing.sign(session, [REQUEST] * 4, None)) == 4
    assert len(keypad.asked) == 2
    assert core.card.resets - resets <= 2  # before it, where the login's turn was over, and after it
