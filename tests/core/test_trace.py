"""What support sees of a card's channel: every command by its lengths, and what a keypad or a fault made of it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import ClassVar, cast

import pytest

from cardd.apdu import Command, Protocol, Response
from cardd.core.events import Subscription
from cardd.core.trace import Content, Exchange, Trace, TracedChannel
from cardd.driver import Channel
from cardd.errors import CardRemoved, PinCancelled
from cardd.model import CallerKey, JsonValue, PinInfo
from cardd.request import Request, Step, Where, step, working_on
from cardd.secret import Secret
from cardd.system.host import SystemClock
from tests.rig.memory import ManualClock

VERIFY = Command(0, 0x20, 0, 1)
SELECT = Command(0, 0xA4, 4, 0, b"AID")
SUPPORT = CallerKey(0, "support")
PIN = PinInfo(1, "PIN", 4, 4, tries=3)


class Keypad:
    """A channel of a reader with a keypad, at which somebody cancels; its card is taken out when it is asked."""

    atr, protocol, epoch, has_pinpad = b"\x3b\x00", Protocol.T1, 7, True

    def transmit(self, command: Command) -> Response:
        raise CardRemoved

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        return Response(b"", 0x9000)

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        raise PinCancelled


class TwoFiles:
    """A card with a file of structure and one of a name, of which the selected one is read."""

    atr, protocol, epoch, has_pinpad = b"\x3b\x00", Protocol.T1, 7, False
    files: ClassVar = {
        b"\x00\x01": b"\x06\x28" + bytes(40),
        b"\x00\x02": b"\x0c\x28" + b"DUPONT ADELE DUPONT ADELE DUPONT ADELE DU",
    }

    def __init__(self) -> None:
        self.selected = b""

    def transmit(self, command: Command) -> Response:
        if command.ins == SELECT.ins:
            self.selected = command.data
            return Response(b"", 0x9000)
        return Response(self.files[self.selected][command.p2 : command.p2 + 16], 0x9000)


async def test_a_recording_knows_nothing_of_the_file_that_an_earlier_one_saw() -> None:
    trace = Trace(SystemClock())
    channel = TracedChannel("Lecteur A", cast(Channel, TwoFiles()), trace)
    earlier = trace.follow(CallerKey(0, "support"), Content.MASKED)
    channel.transmit(Command(0, 0xA4, 2, 0x0C, b"\x00\x01"))
    channel.transmit(Command(0, 0xB0, 0, 0))
    earlier.end()
    channel.transmit(Command(0, 0xA4, 2, 0x0C, b"\x00\x02"))
    await asyncio.sleep(0)  # what went before is told to nobody any more
    later = trace.follow(CallerKey(0, "support"), Content.MASKED)
    channel.transmit(Command(0, 0xB0, 0, 16))
    told = await later.next()
    assert told
    assert bytes.fromhex(str(told.data["answer"])) == b"XXXXX\0XXXXX\0XXXX"
    trace.close()


async def test_a_fault_is_told_by_its_code_and_a_code_by_nothing() -> None:
    trace = Trace(SystemClock())
    channel = TracedChannel("Lecteur A", cast(Channel, Keypad()), trace)
    heard = trace.follow(CallerKey(0, "support"), Content.FULL)
    with pytest.raises(CardRemoved):
        channel.transmit(SELECT)
    with pytest.raises(PinCancelled):
        channel.verify_on_pinpad(VERIFY, PIN)
    with Secret.of(b"1234") as secret:
        assert channel.transmit_secret(VERIFY, secret).ok
    told = [event.data for event in [await heard.next() for _ in range(3)] if event]
    assert [(one["instruction"], one.get("error"), one.get("status")) for one in told] == [
        ("SELECT", "card.removed", None),
        ("VERIFY", "pin.cancelled", None),
        ("VERIFY", None, "9000"),
    ]
    assert (told[0]["data"], "data" in told[1], "data" in told[2]) == (b"AID".hex().upper(), False, False)
    trace.close()


def test_what_a_channel_says_of_itself_is_said_through_the_trace() -> None:
    plain = Keypad()
    channel = TracedChannel("Lecteur A", cast(Channel, plain), Trace(SystemClock()))
    assert (channel.atr, channel.protocol, channel.epoch, channel.has_pinpad) == (
        plain.atr,
        plain.protocol,
        plain.epoch,
        plain.has_pinpad,
    )
    with pytest.raises(CardRemoved):
        channel.transmit(SELECT)


# --- what each kind of trace has


def at(trace_clock: ManualClock) -> str:
    return trace_clock.now().isoformat(timespec="milliseconds")


async def told(heard: Subscription) -> dict[str, JsonValue]:
    """Return the next event, its kind among what it says."""
    event = await heard.next()
    assert event
    return {"kind": event.type, "user": event.user, **event.data}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 12, 1, 12, 30, 0, 123456, UTC))


async def test_of_a_command_each_kind_of_trace_has_its_part(clock: ManualClock) -> None:
    trace = Trace(clock)
    none, masked, full = [trace.follow(SUPPORT, content) for content in (Content.NONE, Content.MASKED, Content.FULL)]
    trace.exchanged(
        Exchange(
            "Lecteur A",
            Command(0, 0xB0, 1, 0xFE, b"\xab", le=256),
            Response(b"\xcd\xef", 0x6282),
            1.512345,
            (b"\x3b\xac", Protocol.T1),
            masked=(None, b"\x00\x00"),
        )
    )
    same = {
        "kind": "exchange",
        "user": None,
        "at": "2026-12-01T12:30:00.123+00:00",
        "reader": "Lecteur A",
        "begins": True,
        "instruction": "READ BINARY",
        "header": "00B001FE",
        "sent": 1,
        "microseconds": 1512345,
        "le": 256,
        "atr": "3BAC",
        "protocol": "T1",
        "received": 2,
        "status": "6282",
    }
    assert await told(none) == same
    assert await told(masked) == {**same, "answer": "0000"}
    assert await told(full) == {**same, "data": "AB", "answer": "CDEF"}


async def test_a_command_that_failed_or_is_unknown_is_told_by_what_there_is_of_it(clock: ManualClock) -> None:
    trace = Trace(clock)
    heard = trace.follow(SUPPORT, Content.FULL)
    trace.exchanged(Exchange("Lecteur A", Command(0, 0xEE, 0, 0), "card.removed", 0.0, None, is_secret=True))
    assert await told(heard) == {
        "kind": "exchange",
        "user": None,
        "at": at(clock),
        "reader": "Lecteur A",
        "begins": False,
        "instruction": "",
        "header": "00EE0000",
        "sent": 0,
        "microseconds": 0,
        "error": "card.removed",
        "secret": True,
        "data": "",
    }


async def test_the_steps_of_a_request_are_told_but_for_those_of_which_commands_tell_more(clock: ManualClock) -> None:
    trace = Trace(clock)
    asked = Request(name="POST /v1/sessions", id="request-1")
    trace.stepped(asked, Step("http", Where.NETWORK, {"host": "psc.test"}, 0.5))  # nobody follows
    heard = trace.follow(SUPPORT)
    for kind in ("card", "turn", "disk", "keypad"):
        trace.stepped(asked, Step(kind, Where.CARD, {}, 1.0))
    trace.stepped(asked, Step("http", Where.NETWORK, {"host": "psc.test"}, 2.5))
    assert await told(heard) == {
        "kind": "http",
        "user": None,
        "at": at(clock),
        "request": "request-1",
        "host": "psc.test",
        "microseconds": 2500000,
    }


async def test_a_request_that_was_answered_is_told_with_where_its_seconds_went(clock: ManualClock) -> None:
    trace = Trace(clock)
    asked = Request(name="POST /v1/sessions", id="request-1")
    trace.ended(asked, 201, None)  # nobody follows
    heard = trace.follow(SUPPORT)
    with working_on(asked), step("sign", Where.CARD):
        pass
    trace.ended(asked, 201, None)
    trace.ended(asked, 409, "card.absent")
    first, second = await told(heard), await told(heard)
    spent = cast(dict[str, int], first.pop("spent"))
    assert set(spent) == {"person", "card", "network", "daemon"}
    assert spent["card"] == round(asked.seconds()[Where.CARD] * 1e6)
    assert first == {
        "kind": "request",
        "user": None,
        "at": at(clock),
        "request": "request-1",
        "name": "POST /v1/sessions",
        "status": 201,
    }
    assert (second["status"], second["code"]) == (409, "card.absent")


def test_a_trace_begins_with_the_readers_that_are_there(clock: ManualClock) -> None:
    trace = Trace(clock)
    empty, full = trace.present("Lecteur A", b""), trace.present("Lecteur A", b"\x3b\xac")
    assert (empty.type, empty.data) == ("reader.present", {"at": at(clock), "reader": "Lecteur A"})
    assert full.data == {**empty.data, "atr": "3BAC"}


async def test_what_happens_for_a_request_is_told_with_its_name(clock: ManualClock) -> None:
    trace = Trace(clock)
    heard = trace.follow(SUPPORT)
    with working_on(Request(id="request-1")):
        trace.readers_changed("card.removed", "Lecteur A")
    trace.readers_changed("card.removed", "Lecteur A")
    assert [(await told(heard)).get("request") for _ in range(2)] == ["request-1", None]


async def test_only_whose_the_trace_is_hears_of_a_users_own_reader(clock: ManualClock) -> None:
    trace = Trace(clock)
    mine, other = trace.follow(CallerKey(1000, "lps")), trace.follow(SUPPORT)
    trace.exchanged(Exchange("Lecteur A", SELECT, Response(b"", 0x9000), 0.0, None, user=1000))
    trace.readers_changed("card.removed", "Lecteur B")
    assert (await told(mine))["user"] == 1000
    assert (await told(other))["reader"] == "Lecteur B"


# --- the channel


class Answering(Keypad):
    """A keypad where the PIN is typed, as ``typed`` tells; its card is reset with each ``epoch``."""

    def __init__(self) -> None:
        self.epoch = 1
        self.typed: list[tuple[Command, PinInfo]] = []

    def transmit(self, command: Command) -> Response:
        return Response(b"\x01", 0x9000)

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        self.typed.append((command, pin))
        return Response(b"", 0x9000)


class Steps:
    """Whoever measures a request."""

    def __init__(self) -> None:
        self.kinds: list[tuple[str, Where]] = []

    def stepped(self, request: Request, step: Step) -> None:
        self.kinds.append((step.kind, step.where))

    def spent(self, where: Where, seconds: float) -> None: ...


async def test_the_first_command_after_each_reset_tells_what_the_card_is(clock: ManualClock) -> None:
    trace, plain = Trace(clock), Answering()
    channel = TracedChannel("Lecteur A", cast(Channel, plain), trace, 1000)
    heard = trace.follow(CallerKey(1000, "lps"))
    began = time.perf_counter()
    for epoch in (1, 1, 2):
        plain.epoch = epoch
        channel.transmit(SELECT)
    took = (time.perf_counter() - began) * 1e6
    found = [await told(heard) for _ in range(3)]
    assert [(one["begins"], one.get("atr"), one.get("protocol")) for one in found] == [
        (True, "3B00", "T1"),
        (False, None, None),
        (True, "3B00", "T1"),
    ]
    assert {(one["reader"], one["user"], "secret" in one) for one in found} == {("Lecteur A", 1000, False)}
    assert 0 <= sum(cast(int, one["microseconds"]) for one in found) <= took + 3


async def test_what_is_typed_at_a_keypad_is_a_secret_and_the_persons_time(clock: ManualClock) -> None:
    trace, plain, steps = Trace(clock), Answering(), Steps()
    channel = TracedChannel("Lecteur A", cast(Channel, plain), trace)
    heard = trace.follow(SUPPORT)
    with working_on(Request(watcher=steps)):
        assert channel.verify_on_pinpad(VERIFY, PIN).ok
    with Secret.of(b"1234") as secret:
        channel.transmit_secret(SELECT, secret)
    assert plain.typed == [(VERIFY, PIN)]
    assert steps.kinds == [("keypad", Where.PERSON)]
    assert [(await told(heard))["secret"] for _ in range(2)] == [True, True]


async def test_a_record_has_no_answer_where_there_was_none(clock: ManualClock) -> None:
    trace = Trace(clock)
    channel = TracedChannel("Lecteur A", cast(Channel, Keypad()), trace)
    heard = trace.follow(SUPPORT, Content.MASKED)
    with pytest.raises(CardRemoved):
        channel.transmit(SELECT)
    found = await told(heard)
    assert (found["error"], found["data"], "answer" in found) == ("card.removed", b"AID".hex().upper(), False)
