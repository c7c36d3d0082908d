"""What support sees of a card's channel: every command by its lengths, and what a keypad or a fault made of it."""

from __future__ import annotations

import asyncio
from typing import ClassVar, cast

import pytest

from cardd.apdu import Command, Protocol, Response
from cardd.core.trace import Content, Trace, TracedChannel
from cardd.driver import Channel
from cardd.errors import CardRemoved, PinCancelled
from cardd.model import CallerKey, PinInfo
from cardd.secret import Secret
from cardd.system.host import SystemClock

VERIFY = Command(0, 0x20, 0, 1)
SELECT = Command(0, 0xA4, 4, 0, b"AID")
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
