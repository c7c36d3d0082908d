"""A PIN counter that lies costs the holder no more PINs than the dialogs that were answered, and opens no session."""

from __future__ import annotations

import pytest

from cardd.errors import CarddError, CardIncomplete, CardRefused, LastTryRefused, PinBackOff, PinBlocked, PinWrong
from cardd.model import Choice
from tests.core.conftest import CALLER
from tests.hostile.cards import AODF, GENERATIONS, VERIFY, Exchange, HostileCard, Malice, files_of
from tests.hostile.test_sessions import core_with, refuses_to_sign
from tests.rig.simulator import PIN

HEADER = 5


class Counter(HostileCard):
    """``status`` is what it says of its tries, ``verdict`` of a PIN; ``pins`` counts those that it was sent."""

    def __init__(self, status: str, verdict: str, generation: str = "cps3") -> None:
        super().__init__(Malice(answer=lambda: self._say), GENERATIONS[generation]())
        self._status, self._verdict = bytes.fromhex(status), bytes.fromhex(verdict)
        self.pins = 0

    def _say(self, exchange: Exchange) -> bytes | None:
        if exchange.instruction != VERIFY:
            return None
        if len(exchange.apdu) <= HEADER:
            return self._status
        self.pins += 1
        return self._verdict


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("status", "verdict", "error", "pins"),
    [
        ("63CF", "63CF", PinBackOff, 2),
        ("63C3", "63C3", PinBackOff, 2),
        ("63C3", "6983", PinBlocked, 1),
        ("63C3", "63C0", PinBlocked, 1),
        ("63CF", "63C1", PinWrong, 1),
        ("63C3", "6300", CardRefused, 1),
        ("63C3", "6F00", CardRefused, 1),
        ("9000", "63C0", PinBlocked, 1),
        ("63C0", "9000", PinBlocked, 0),
        ("6983", "9000", PinBlocked, 0),
        ("63C1", "9000", LastTryRefused, 0),
        ("6A88", "9000", CardRefused, 0),
        ("0000", "9000", CardRefused, 0),
    ],
)
async def test_a_counter_that_lies(
    status: str, verdict: str, error: type[CarddError], pins: int, generation: str
) -> None:
    card = Counter(status, verdict, generation)
    async with core_with(card) as core:
        core.person.pins = [PIN.decode()] * 20
        core.person.choice = Choice.NO
        with pytest.raises(error):
            await core.login.open(CALLER, None)
        assert core.sessions.of(CALLER.peer.uid) == []
    assert card.pins == pins
    assert card.harms


async def test_a_login_that_is_no_login_signs_nothing() -> None:
    """The card takes any PIN; its keys, which want the right one, do not."""
    async with core_with(Counter("63C3", "9000")) as core:
        core.person.pins = ["9753"]
        session = (await core.login.open(CALLER, None))[0]
        errors = await refuses_to_sign(core, session)
    assert {error.code for error in errors} == {"card.pin_required"}


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 0), (9, 4), (127, 127), (-1, -1)])
async def test_pin_lengths_without_sense_ask_for_one_of_the_usual_lengths(minimum: int, maximum: int) -> None:
    aodf = files_of(GENERATIONS["cps3"]())[AODF]
    honest = bytes.fromhex("020104 020104 020104")
    assert honest in aodf
    lied = b"".join(b"\x02\x01" + length.to_bytes(1, signed=True) for length in (minimum, maximum, maximum))
    card = HostileCard(Malice({AODF: aodf.replace(honest, lied)}))
    async with core_with(card) as core:
        await core.login.open(CALLER, None)
        [asked] = core.person.pin_questions
    assert (asked.pin.minimum, asked.pin.maximum) == (4, 8)


async def test_a_pin_that_no_directory_describes_is_not_asked_for() -> None:
    card = HostileCard(Malice({AODF: b""}))
    async with core_with(card) as core:
        with pytest.raises((CardIncomplete, CardRefused)):
            await core.login.open(CALLER, None)
        assert core.person.pin_questions == []
