"""A trace that was recorded with each simulated card, masked, and played again: the same answers, and nobody's name."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from cardd.apdu import Command, Response, Transport
from cardd.core.readers import DriverRegistry
from cardd.core.trace import Content, Trace, TracedChannel
from cardd.driver import Card, Channel
from cardd.errors import CarddError, InvalidRequest, SignatureInvalid
from cardd.model import CallerKey, KeyPurpose, Message
from cardd.secret import Secret
from cardd.simulator import CardOptions
from cardd.system.host import SystemClock
from cardd.values import replace
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessConnection, Slot
from cardd_simulators.cards.interface import PoweredCard
from cardd_simulators.cards.simulators import (
    ContactlessSimulator,
    Cps3Simulator,
    Cps4Simulator,
    ReplaySimulator,
    VitaleSimulator,
)
from tests.rig.simulator import PIN, STATE

OPTIONS = CardOptions(state=STATE)
EVERY = {
    "cps3": (Cps3Simulator(), OPTIONS),
    "cps3 of an assistant (CPE)": (Cps3Simulator(), replace(OPTIONS, profile="secretaire")),
    "cps3 of an authorised person (CPA)": (Cps3Simulator(), replace(OPTIONS, profile="agent")),
    "cps3 in training (CPF)": (Cps3Simulator(), replace(OPTIONS, profile="interne")),
    "cps3 without short identifiers": (Cps3Simulator(), replace(OPTIONS, variants=("no-short-ids",))),
    "cps3-contactless": (ContactlessSimulator(), OPTIONS),
    "cps4": (Cps4Simulator(), OPTIONS),
    "cps4 with a detour": (Cps4Simulator(), replace(OPTIONS, variants=("detour",))),
    "vitale": (VitaleSimulator(), OPTIONS),
}


class Session:
    """What support watches: the card is opened, read, given its PIN, and signs; ``told`` is what became of each."""

    def __init__(self, card: PoweredCard, trace: Trace) -> None:
        self.told: list[object] = []
        slot = Slot("Lecteur")
        slot.card = card
        self._connection = InProcessConnection(slot, lambda channel: self._open(channel, trace))
        self._connection.begin()
        try:
            self._go_through(self._connection.open())
        except CarddError as error:
            self.told.append(error.code)
        self._connection.end(reset=True)

    @staticmethod
    def _open(channel: Channel, trace: Trace) -> Card:
        return DriverRegistry().open(TracedChannel("Lecteur", channel, trace))

    def _go_through(self, card: Card) -> None:
        info = card.info
        self.told += [info.kind, info.driver, [(key.label, key.purpose, key.algorithms) for key in info.keys], info.pin]
        self.told += [len(one.der) for one in card.certificates()]
        if info.pin is not None:
            self.told.append(card.pin_status())
            with Secret.of(PIN) as pin:
                card.verify(pin)
            self.told.append(len(card.situations()))
        for key in info.keys:
            self.told.append(key.purpose)
            if key.purpose is KeyPurpose.SIGNATURE:
                with suppress(SignatureInvalid):  # what a recording has is masked, and belongs to no key
                    card.sign(key, key.algorithms[0], Message(sha256(b"SIMULATION").digest()))


async def recorded(card: PoweredCard, file: Path) -> tuple[Session, str]:
    """The session with a card, and what was recorded of it."""
    trace = Trace(SystemClock())
    heard = trace.follow(CallerKey(0, "support"), Content.MASKED)
    heard.offer(trace.present("Lecteur", card.atr))
    session = await asyncio.to_thread(Session, card, trace)
    await asyncio.sleep(0)  # what the thread told is on its way
    trace.close()
    lines = [json.dumps({"format": "cardd-trace", "version": 1, "masked": True})]
    while event := await heard.next():
        lines.append(json.dumps({"type": event.type, **event.data}))
    text = "\n".join(lines)
    await asyncio.to_thread(file.write_text, text, "utf-8")
    return session, text


@pytest.mark.parametrize("name", EVERY)
async def test_a_recorded_card_answers_as_the_card_did(name: str, tmp_path: Path) -> None:
    simulator, options = EVERY[name]
    before, text = await recorded(simulator.card(options), tmp_path / "first.jsonl")
    replayed = ReplaySimulator().card(CardOptions(profile=str(tmp_path / "first.jsonl")))
    after, again = await recorded(replayed, tmp_path / "second.jsonl")
    assert after.told == before.told
    first = [json.loads(line) for line in text.splitlines()[1:]]
    second = [json.loads(line) for line in again.splitlines()[1:]]
    told = ("header", "sent", "received", "status", "data", "answer", "atr", "protocol")
    assert [[one.get(each) for each in told] for one in second] == [[one.get(each) for each in told] for one in first]
    assert replayed.unknown == set()


@pytest.mark.parametrize("name", ["cps3", "cps4", "cps3-contactless"])
async def test_a_recording_names_nobody(name: str, tmp_path: Path) -> None:
    simulator, options = EVERY[name]
    card = simulator.card(options)
    assert isinstance(card, SimulatedCard)
    _, text = await recorded(card, tmp_path / "one.jsonl")
    issued, content = card.issued, "".join(json.loads(line).get("answer", "") for line in text.splitlines())
    holder = issued.profile
    certificates = [issued.signature.certificate, issued.authentication.certificate]
    keys = [one.public_key() for one in certificates]
    numbers = [one.serial_number for one in certificates]
    numbers += [key.public_numbers().n for key in keys if isinstance(key, rsa.RSAPublicKey)]
    words = [holder.family_name, holder.given_name, holder.national_id, issued.card_number]
    secrets = [word.encode().hex() for word in words] + [f"{number:x}" for number in numbers] + [PIN.hex()]
    secrets += [one.signature.hex() for one in certificates] + [issued.serial]
    assert [one for one in secrets if one.upper() in content.upper() or one in text] == []
    assert b"CPS_PRIV_".hex().upper() in content.upper()  # what all cards have is there


async def test_what_was_never_asked_is_told_and_other_parts_of_a_file_are_known(tmp_path: Path) -> None:
    simulator, options = EVERY["cps3"]
    await recorded(simulator.card(options), tmp_path / "one.jsonl")
    card = ReplaySimulator().card(CardOptions(profile=str(tmp_path / "one.jsonl")))
    told: list[str] = []
    ReplaySimulator().hear(card, told.append, "fr")
    card.power_on()
    transport = Transport(card.process, card.protocol)
    whole = transport.send(Command(0, 0xB0, 0x9C, 0, le=12))
    assert transport.send(Command(0, 0xB0, 0x9C, 2, le=4)) == Response(whole.data[2:6], 0x9000)
    for _ in range(2):
        assert transport.send(Command(0, 0x84, 0, 0, le=8)).sw == 0x6F00
    assert told == ["La commande 00 84 00 00 n'est pas dans l'enregistrement\N{NARROW NO-BREAK SPACE}: réponse 6F00."]


HEAD = '{"format": "cardd-trace", "version": 1}'
PRESENT = f'{HEAD}\n{{"type": "reader.present", "reader": "r", "atr": "3B00"}}\n'
ASKED: dict[str, object] = {"type": "exchange", "reader": "r", "header": "00B07FFF", "sent": 0, "status": "9000"}
SELECTED = {**ASKED, "header": "00A40800", "answer": ""}


SECOND = "la carte 2 est rejouée (ATR 3B65)"


@pytest.mark.parametrize(
    ("after", "atr", "told"),
    [("", "3B65", [SECOND]), ("#1", "3B00", ["carte 1"]), ("#2", "3B65", [SECOND]), ("#3", None, []), ("#0", None, [])],
)
def test_of_several_cards_the_one_that_is_meant_is_played(
    after: str, atr: str | None, told: list[str], tmp_path: Path
) -> None:
    """One card after the other in one reader: whoever helps hears which one answers."""
    asked = json.dumps({**ASKED, "answer": "00"})
    inserted = f'{{"type": "card.inserted", "reader": "r", "atr": "3B65"}}\n{asked}\n{asked}'
    file = tmp_path / "one.jsonl"
    file.write_text(f"{PRESENT}{asked}\n{inserted}", "utf-8")
    options, said = CardOptions(profile=f"{file}{after}"), list[str]()
    if atr is None:
        with pytest.raises(InvalidRequest):
            ReplaySimulator().check(options)
        return
    card = ReplaySimulator().card(options)
    ReplaySimulator().hear(card, said.append, "fr")
    assert card.atr.hex().upper() == atr
    assert [words in one for words, one in zip(told, said, strict=True)] == [True]


def test_a_file_whose_name_ends_with_a_number_is_itself(tmp_path: Path) -> None:
    (tmp_path / "one#7").write_text(PRESENT, "utf-8")
    assert ReplaySimulator().card(CardOptions(profile=str(tmp_path / "one#7"))).place == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "", "{}", '{"format": "cardd-trace", "version": 2}', HEAD, "\0", "[1]", f"{HEAD}\n[1]",
        f"{HEAD}\n{'[' * 100_000}",
        PRESENT.replace("3B00", "3B" * 34),
        PRESENT + json.dumps({**ASKED, "received": 10**12}),
        PRESENT + json.dumps({**ASKED, "received": float("inf")}),
        PRESENT + json.dumps({**ASKED, "answer": "00", "status": "19000"}),
        PRESENT + "\n".join(
            json.dumps({**one, "data": f"{n:08X}"}) for n in range(130) for one in (SELECTED, {**ASKED, "answer": "00"})
        ),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_file_that_is_no_recording_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "one.jsonl").write_text(text, "utf-8")
    with pytest.raises(InvalidRequest):
        ReplaySimulator().check(CardOptions(profile=str(tmp_path / "one.jsonl")))
    with pytest.raises(InvalidRequest):
        ReplaySimulator().check(CardOptions(profile=str(tmp_path / "none.jsonl")))


@pytest.mark.parametrize("path", ["/dev/zero", "pipe", "."])
def test_what_never_ends_is_no_recording(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidRequest):
        ReplaySimulator().check(CardOptions(profile=str(tmp_path / path)))
