"""A PIN's life: changed and unblocked in dialogs, and on the card."""

from __future__ import annotations

import pytest

from cardd.core.pin import weakness
from cardd.errors import (
    LastTryRefused,
    PinBackOff,
    PinBlocked,
    PinCancelled,
    PinWrong,
    PukBlocked,
    PukWrong,
    SessionClosed,
)
from cardd.model import Choice, PinRole
from cardd.secret import Secret
from cardd.values import replace
from tests.core.conftest import CALLER, OTHER, PIN, Core

NEW, PUK = "2580", "12345678"


async def works(core: Core, pin: str) -> bool:
    core.person.pins = [pin]
    try:
        session, _ = await core.login.open(OTHER, None)
    except (PinWrong, PinBlocked):
        return False
    core.sessions.close(session, "test")
    await core.sessions.settle()
    return True


async def block(core: Core) -> None:
    for _ in range(3):
        core.card.process(bytes.fromhex("0020000104") + b"0000")


async def change(core: Core, *typed: str) -> None:
    core.person.pins = list(typed)
    await core.pin_life.change(CALLER, core.readers.choose(None))


async def unblock(core: Core, *typed: str) -> None:
    core.person.pins = list(typed)
    await core.pin_life.unblock(CALLER, core.readers.choose(None))


async def test_the_new_pin_serves_and_the_old_one_no_more(core: Core) -> None:
    await change(core, PIN, NEW, NEW)
    assert [asked.role for asked in core.person.pin_questions] == [PinRole.CURRENT, PinRole.NEW, PinRole.REPEATED]
    assert [await works(core, pin) for pin in (NEW, PIN)] == [True, False]
    assert core.audit.acts()[0] == "pin.change done"


async def test_the_card_is_left_without_a_login(core: Core) -> None:
    await change(core, PIN, NEW, NEW)
    assert core.card.process(bytes.fromhex("00200001")) == bytes.fromhex("63C3")


async def test_a_wrong_old_pin_is_told_before_a_new_one_is_asked(core: Core) -> None:
    await change(core, "0000", PIN, NEW, NEW)
    assert [(asked.role, asked.problem) for asked in core.person.pin_questions][:2] == [
        (PinRole.CURRENT, None),
        (PinRole.CURRENT, "wrong"),
    ]


@pytest.mark.parametrize(
    ("first", "repeated", "problem"),
    [(NEW, "2581", "mismatch"), ("1234", None, "sequence"), ("1212", None, "repeated"), (PIN, None, "same")],
)
async def test_a_bad_new_pin_is_asked_again_with_the_reason(
    core: Core, first: str, repeated: str | None, problem: str
) -> None:
    await change(core, PIN, first, *([repeated] if repeated else []), NEW, NEW)
    assert problem in [asked.problem for asked in core.person.pin_questions]
    assert await works(core, NEW)


async def test_giving_up_leaves_the_old_pin(core: Core) -> None:
    with pytest.raises(PinCancelled):
        await change(core, PIN, NEW)
    assert await works(core, PIN)
    assert core.audit.acts()[0] == "pin.change refused"


async def test_a_session_that_holds_the_old_pin_is_closed(core: Core) -> None:
    core.person.pins = [PIN]
    _, token = await core.login.open(CALLER, None)
    await change(core, PIN, NEW, NEW)
    with pytest.raises(SessionClosed) as closed:
        core.sessions.authenticate(token, CALLER.id, CALLER.peer.uid)
    assert closed.value.params == {"reason": "pin_changed"}


async def test_a_blocked_pin_is_unblocked_with_the_puk(core: Core) -> None:
    await block(core)
    with pytest.raises(PinBlocked):
        await change(core, PIN, NEW, NEW)
    core.person.pin_questions.clear()
    await unblock(core, PUK, NEW, NEW)
    asked = core.person.pin_questions[0]
    assert (asked.role, asked.tries_left, asked.pin.minimum, asked.pin.maximum) == (PinRole.PUK, 10, 8, 8)
    assert await works(core, NEW)
    assert core.audit.acts()[1] == "pin.unblock done"


async def test_a_mistyped_puk_is_asked_again_and_the_new_pin_is_not(core: Core) -> None:
    await block(core)
    await unblock(core, "00000000", NEW, NEW, PUK)
    asked = [(question.role, question.tries_left, question.problem) for question in core.person.pin_questions]
    assert asked[0] == (PinRole.PUK, 10, None)
    assert asked[-1] == (PinRole.PUK, 9, "wrong")
    assert await works(core, NEW)


async def test_the_last_puk_is_the_users_to_spend_and_a_blocked_one_is_told(core: Core) -> None:
    for _ in range(9):
        core.card.process(bytes.fromhex("0020000208") + b"00000000")
    core.person.choice = Choice.NO
    with pytest.raises(LastTryRefused):
        await unblock(core, PUK, NEW, NEW)
    core.person.choice = Choice.YES
    with pytest.raises((PukWrong, PukBlocked)):  # a card may say either at the last
        await unblock(core, "00000000", NEW, NEW)
    with pytest.raises(PukBlocked):
        await unblock(core, PUK, NEW, NEW)


async def test_wrong_puks_make_a_client_wait_within_one_request(core: Core) -> None:
    with pytest.raises(PinBackOff):
        await unblock(core, "00000000", NEW, NEW, *[f"0000000{n}" for n in range(1, 9)])
    assert core.card.process(bytes.fromhex("00200002")) == bytes.fromhex("63C8")
    with pytest.raises(PinBackOff):
        await unblock(core, PUK, NEW, NEW)


async def test_many_callers_wrong_codes_make_the_card_itself_wait(core: Core) -> None:
    for number in range(5):
        core.person.pins = ["00000000", NEW, NEW]
        caller = replace(CALLER, id=f"lps-{number}")
        with pytest.raises((PinCancelled, PinBackOff)):
            await core.pin_life.unblock(caller, core.readers.choose(None))
    assert core.card.process(bytes.fromhex("00200002")) == bytes.fromhex("63C6")


async def test_after_unblocking_the_card_holds_no_login_of_the_puk(core: Core) -> None:
    await unblock(core, PUK, NEW, NEW)
    assert core.card.process(bytes.fromhex("00200002")) == bytes.fromhex("63CA")


@pytest.mark.parametrize(
    ("pin", "expected"),
    [
        ("0000", "repeated"),
        ("111", "repeated"),
        ("12121", "repeated"),
        ("1212", "repeated"),
        ("123123", "repeated"),
        ("1234", "sequence"),
        ("9876", "sequence"),
        ("7319", "same"),
        ("2580", None),
        ("1213", None),
        ("1281", None),
        ("72872", None),
        ("12346", None),
    ],
)
def test_what_is_easy_to_guess(pin: str, expected: str | None) -> None:
    with Secret.of(pin.encode()) as new, Secret.of(PIN.encode()) as old:
        assert weakness(new, old) == expected
