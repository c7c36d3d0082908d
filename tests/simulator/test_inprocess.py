"""Readers of this process, behind the contract of ``cardd.ports``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from cardd.apdu import Command, Protocol, Response
from cardd.core.readers import DriverRegistry
from cardd.driver import Card, Channel
from cardd.errors import CardRemoved, CardTimeout, ReaderGone
from cardd.ports import CardConnection, Reader, Token
from cardd.secret import Secret
from cardd_simulators.cards.card import SimulatedCard
from cardd_simulators.cards.inprocess import InProcessReader, InProcessReaders
from cardd_simulators.cards.interface import Delays
from tests.rig.simulator import PIN, issue, simulated_card

READ_SERIAL = Command(0x00, 0xB0, 0x9C, 0x00, le=12)
PIN_STATUS = Command(0x00, 0x20, 0x00, 0x01)


@dataclass
class Listener:
    """Remembers what it was told."""

    told: list[str] = field(default_factory=list)

    def readers_available(self, available: bool) -> None:
        self.told.append(f"available {available}")

    def reader_added(self, reader: Reader, user: int | None = None) -> None:
        self.told.append(f"added {reader.name}")

    def reader_removed(self, name: str) -> None:
        self.told.append(f"removed {name}")

    def card_inserted(self, name: str, atr: bytes) -> None:
        self.told.append(f"in {name} {atr.hex()[:4]}")

    def token_inserted(self, name: str, token: Token) -> None:
        self.told.append(f"token {name} {token.kind}")

    def source_failed(self, source: str, why: str) -> None:
        self.told.append(f"failed {source} {why}")

    def open_card(self, name: str, channel: Channel) -> Card:
        return DriverRegistry([]).open(channel)

    def card_removed(self, name: str) -> None:
        self.told.append(f"out {name}")


@pytest.fixture
async def reader() -> AsyncIterator[InProcessReader]:
    reader = InProcessReader("A", simulated_card())
    source = InProcessReaders([reader])
    await source.start(Listener())
    yield reader
    await source.stop()


def _transaction(connection: CardConnection, *commands: Command) -> list[Response]:
    connection.begin()
    try:
        return [connection.transmit(command) for command in commands]
    finally:
        connection.end(reset=False)


async def _status(reader: InProcessReader) -> int:
    (response,) = await reader.run(lambda connection: _transaction(connection, PIN_STATUS), timeout=5)
    return response.sw


async def _login(reader: InProcessReader, *, reset: bool) -> None:
    def job(connection: CardConnection) -> int:
        connection.begin()
        with Secret.of(PIN) as secret:
            response = connection.transmit_secret(PIN_STATUS, secret)
        connection.end(reset=reset)
        return response.sw

    assert await reader.run(job, timeout=5) == 0x9000


async def _resets(reader: InProcessReader) -> int:
    return await reader.run(lambda connection: connection.resets, timeout=5)


async def test_readers_and_cards_are_reported_in_order() -> None:
    listener, first, second = Listener(), InProcessReader("A", simulated_card()), InProcessReader("B")
    source = InProcessReaders([first, second])
    await source.start(listener)
    second.insert(simulated_card("infirmier"))
    first.remove()
    await asyncio.sleep(0)
    assert listener.told == ["available True", "added A", "in A 3bac", "added B", "in B 3bac", "out A"]
    await source.stop()


async def test_commands_reach_the_card_by_the_rules_of_its_protocol(reader: InProcessReader) -> None:
    def job(connection: CardConnection) -> bytes:
        connection.begin()
        assert connection.protocol is Protocol.T0
        select = Command(0x00, 0xA4, 0x09, 0x04, bytes.fromhex("3F002F01"), le=256)
        fcp = connection.transmit(select).data
        connection.end(reset=False)
        return fcp

    assert (await reader.run(job, timeout=5)).startswith(b"\x62\x25")


async def test_a_login_ends_with_the_reset_of_the_transaction(reader: InProcessReader) -> None:
    await _login(reader, reset=False)
    assert await _status(reader) == 0x9000
    await _login(reader, reset=True)
    assert await _status(reader) == 0x63C3
    assert await _resets(reader) == 0


async def test_giving_up_the_card_in_a_transaction_resets_it(reader: InProcessReader) -> None:
    def job(connection: CardConnection) -> None:
        connection.begin()
        with Secret.of(PIN) as secret:
            connection.transmit_secret(PIN_STATUS, secret)
        connection.disconnect()

    await reader.run(job, timeout=5)
    assert await _status(reader) == 0x63C3


async def test_the_epoch_changes_with_every_transaction(reader: InProcessReader) -> None:
    def job(connection: CardConnection) -> list[int]:
        seen = []
        for _ in range(2):
            connection.begin()
            seen.append(connection.epoch)
            connection.end(reset=True)
            seen.append(connection.epoch)
        return seen

    assert len(set(await reader.run(job, timeout=5))) == 4


async def test_another_programs_reset_is_noticed_at_the_next_transaction(reader: InProcessReader) -> None:
    await _login(reader, reset=False)
    reader.reset_by_another_program()
    assert await _status(reader) == 0x63C3
    assert await _resets(reader) == 1


async def test_another_program_waits_for_the_end_of_our_transaction(reader: InProcessReader) -> None:
    def job(connection: CardConnection) -> list[int]:
        connection.begin()
        with Secret.of(PIN) as secret:
            connection.transmit_secret(PIN_STATUS, secret)
        reader.reset_by_another_program()
        inside = connection.transmit(PIN_STATUS).sw
        connection.end(reset=False)
        connection.begin()
        outside = connection.transmit(PIN_STATUS).sw
        connection.end(reset=False)
        return [inside, outside]

    assert await reader.run(job, timeout=5) == [0x9000, 0x63C3]
    assert await _resets(reader) == 1


async def test_a_card_pulled_in_the_middle_of_a_command_ends_it(reader: InProcessReader) -> None:
    reader.remove_during(0xB0)
    with pytest.raises(CardRemoved):
        await reader.run(lambda connection: _transaction(connection, PIN_STATUS, READ_SERIAL), timeout=5)
    with pytest.raises(CardRemoved):
        await _status(reader)


async def test_a_card_swapped_during_a_transaction_is_not_taken_for_the_first(reader: InProcessReader) -> None:
    def job(connection: CardConnection) -> None:
        connection.begin()
        reader.remove()
        reader.insert(simulated_card("infirmier"))
        connection.transmit(READ_SERIAL)

    with pytest.raises(CardRemoved):
        await reader.run(job, timeout=5)
    assert await _status(reader) == 0x63C3
    assert await _resets(reader) == 1


async def test_a_job_that_takes_too_long_is_told_and_so_are_those_behind_it() -> None:
    gate = threading.Event()
    slow = InProcessReader("A", SimulatedCard(issue(), delays=Delays(1), sleep=lambda _: _pass(gate)))
    source = InProcessReaders([slow])
    await source.start(Listener())
    jobs = [asyncio.ensure_future(slow.run(lambda c: _transaction(c, PIN_STATUS), timeout=0.05)) for _ in range(2)]
    for job in jobs:
        with pytest.raises(CardTimeout):
            await job
    gate.set()
    async with asyncio.timeout(10):
        assert await _status_once_free(slow) == 0x63C3
    await source.stop()


def _pass(gate: threading.Event) -> None:
    assert gate.wait(10)


async def _status_once_free(reader: InProcessReader) -> int:
    while True:
        try:
            return await _status(reader)
        except CardTimeout:
            await asyncio.sleep(0.01)


async def test_a_reader_that_was_stopped_is_gone(reader: InProcessReader) -> None:
    await reader.close()
    with pytest.raises(ReaderGone):
        await _status(reader)
