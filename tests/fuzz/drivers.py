"""Whole cards, key files, and what modules of PKCS#11 and pcscd say through the gate, as the drivers take them."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

from cardd.apdu import Protocol
from cardd.driver import Card, CardDriver, Channel
from cardd.errors import CarddError
from cardd.model import Algorithm, CardKind, KeyPurpose, Message
from cardd.pcsc.pinpad import parse_features, read_answer
from cardd.secret import Secret
from cardd_drivers.cps3 import Cps3Driver
from cardd_drivers.cps4 import Cps4Driver
from cardd_drivers.pkcs11 import messages
from cardd_drivers.pkcs11.context import Context, Limits
from cardd_drivers.pkcs11.gate import Gate
from cardd_drivers.pkcs12.card import PASSWORD, KeyFiles
from cardd_drivers.vitale import VitaleDriver
from tests.drivers.channel import CPS3_ATR, CountingChannel
from tests.fuzz.cards import answering
from tests.fuzz.parser import Parser

CPS4_ATR = bytes.fromhex("3B9B188001001225006480040100009044")
ANSWER_MAX = 2048  # bytes of one answer of a card
COMMANDS_MAX = 4000  # for everything that is asked of one card below
MESSAGE = Message(sha256(b"valeur SIMULATION").digest(), b"valeur SIMULATION")
INFO = bytes.fromhex("3031300D060960864801650304020105000420") + MESSAGE.digest
OPENING = "SIMULATION"  # the password of the key files among the seeds
READER, WAIT = "Lecteur A", 0.02  # seconds for the other half of a message
LARGE = 65_536


# --- cards


def _used(card: Card) -> None:
    """All that is asked of a card, which has no PIN of its holder's here."""
    card.certificates()
    for ask in (card.pin_status, card.puk_status):
        with suppress(CarddError):
            ask()
    with Secret.of(b"1234") as pin, Secret.of(b"4321") as new, Secret.of(b"12345678") as puk:
        for act in (
            lambda: card.verify(pin),
            card.situations,
            lambda: _keys_used(card),
            lambda: card.change_pin(pin, new),
            lambda: card.unblock_pin(puk, new),
            lambda: card.verify(None),
        ):
            with suppress(CarddError):
                act()


def _keys_used(card: Card) -> None:
    for key in card.info.keys:
        for algorithm in key.algorithms:
            with suppress(CarddError):
                card.sign(key, algorithm, MESSAGE)
            with suppress(CarddError):
                card.authenticate(key, algorithm, MESSAGE.digest)
        acts: tuple[Callable[[], object], ...] = (
            partial(card.authenticate_info, key, INFO),
            partial(card.authenticate_pss, key, "sha256", MESSAGE.digest),
            partial(card.decrypt, key, bytes(256)),
        )
        for act in acts:
            with suppress(CarddError):
                act()


def _card(driver: CardDriver, kind: CardKind, atr: bytes) -> Callable[[bytes], None]:
    def talk(data: bytes) -> None:
        channel = CountingChannel(answering(data, ANSWER_MAX), atr=atr, protocol=Protocol.T1)
        try:
            _used(driver.open(channel, kind))
        finally:
            assert channel.count() <= COMMANDS_MAX

    return talk


def _probed(data: bytes) -> None:
    """The bytes as an ATR, and as the answers of a card that nobody knows by it."""
    drivers: tuple[CardDriver, ...] = (Cps3Driver(), Cps4Driver(), VitaleDriver())
    for driver in drivers:
        driver.recognise(data)
        channel: Channel = CountingChannel(lambda _: data[:2], atr=data)
        with suppress(CarddError):
            driver.probe(channel)


def _pinpad(data: bytes) -> None:
    """The bytes as the features of a reader, and as its answer to a PIN's entry."""
    assert all(0 <= code <= 0xFFFFFFFF for code in parse_features(data).values())
    read_answer(data, PASSWORD)


# --- key files


def _key_file(data: bytes) -> None:
    file = os.memfd_create("keys")
    try:
        os.write(file, data)
        with Secret.of(OPENING.encode()) as password:
            card = KeyFiles({KeyPurpose.AUTHENTICATION: Path(f"/proc/self/fd/{file}")})
            card.verify(password)
            card.certificates()
            key = card.info.keys[0]
            for algorithm in Algorithm:
                with suppress(CarddError):
                    card.authenticate(key, algorithm, MESSAGE.digest)
    finally:
        os.close(file)


# --- a module's way to pcscd


@cache
def _gate() -> Gate:
    made = Gate(lambda: None, Limits(message=WAIT, busy=0.0))
    made.show(frozenset({READER}))
    made.claim(READER)
    return made


def _through_the_gate(data: bytes) -> None:
    """Behind two bytes with its length what a module says, then pcscd's answers, each behind two such bytes."""
    size = int.from_bytes(data[:2])
    asked, answers = data[2 : 2 + size], data[2 + size :]
    with ExitStack() as ends:
        client, module = (ends.enter_context(end) for end in socket.socketpair())
        server, pcscd = (ends.enter_context(end) for end in socket.socketpair())
        server.settimeout(WAIT)
        ends.enter_context(_answering(pcscd, answers))
        module.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * LARGE)
        module.sendall(asked)
        module.shutdown(socket.SHUT_WR)
        context = Context(_gate(), client, server)
        _gate()._contexts.add(context)
        context.run()
        assert context not in _gate()._contexts


@contextmanager
def _answering(pcscd: socket.socket, answers: bytes) -> Iterator[None]:
    """Answer each question with the next of these; hang up when there is none."""

    def answer() -> None:
        rest = answers
        with suppress(OSError):
            while len(rest) >= 2 and pcscd.recv(LARGE):
                size = int.from_bytes(rest[:2])
                pcscd.sendall(rest[2 : 2 + size])
                rest = rest[2 + size :]
            pcscd.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield
    finally:
        with suppress(OSError):
            pcscd.shutdown(socket.SHUT_RDWR)
        thread.join()


_CPS3 = ("cardd_drivers.cps3.card", "cardd_drivers.cps3.contents", "cardd_drivers.cps3.pins", "cardd_drivers.cps3.keys")
_GATE = ("cardd_drivers.pkcs11.context", "cardd_drivers.pkcs11.messages")

PARSERS: dict[str, Parser] = {
    "cps3": Parser(_card(Cps3Driver(), CardKind.CPS3, CPS3_ATR), _CPS3, longest=16_384),
    "cps4": Parser(
        _card(Cps4Driver(), CardKind.CPS4, CPS4_ATR),
        ("cardd_drivers.cps4.card", "cardd_drivers.cps4.channel", *_CPS3),
        longest=16_384,
    ),
    "probed": Parser(_probed, ("cardd_drivers.vitale", "cardd_drivers.cps3.driver", "cardd_drivers.cps4.driver")),
    "pinpad": Parser(_pinpad, ("cardd.pcsc.pinpad",)),
    "key_file": Parser(_key_file, ("cardd_drivers.pkcs12.card",)),
    "gate": Parser(
        _through_the_gate,
        _GATE,
        longest=16_384,
        words=tuple(
            messages.HEADER.pack(size, command)
            for command, size in (
                (messages.Command.VERSION, messages.VERSION.size),
                (messages.Command.CONNECT, messages.CONNECT.size),
                (messages.Command.BEGIN, messages.TRANSACTION_BEGIN.size),
                (messages.Command.END, messages.TRANSACTION_END.size),
                (messages.Command.DISCONNECT, messages.TRANSACTION_END.size),
                (messages.Command.TRANSMIT, messages.TRANSMIT.size),
                (messages.Command.WAIT, 0),
            )
        ),
    ),
}
