"""Tokens that come and go, and modules that fail, as the core is told of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from cardd.driver import Card, Channel
from cardd.errors import CardRemoved
from cardd.model import CardKind
from cardd.pcsc.readers import PcscReaders
from cardd.ports import Reader, SourceSettings, Token
from cardd_drivers.pkcs11 import pkcs11_source
from cardd_drivers.pkcs11.module import Patience
from cardd_drivers.pkcs11.source import Pkcs11Source
from tests.contract.cases import OPENSC
from tests.pkcs11.shim import A_THOUSAND, ALWAYS_TELLING, COUNTING, FORGETFUL, MUTE, REMOVABLE, TELLING, compiled
from tests.rig import softhsm
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, plugged, simulated_card
from tests.rig.softhsm import SoftHsm
from tests.rig.waiting import eventually
from tests.simulator.opensc import CONFIGURATION

Shim = Callable[[Mapping[int, str]], str]
LONG_NAME = "Lecteur SIMULATION [Smart Card Reader Interface] (20070818000000000)"


class Listener:
    """Keeps what a source reports; a ``source`` of tokens is left the card in every reader."""

    def __init__(self, source: Pkcs11Source | None = None) -> None:
        self.source = source
        self.left: frozenset[str] = frozenset()
        self.readers: dict[str, Reader] = {}
        self.tokens: dict[str, Token] = {}
        self.told: list[str] = []
        self.failed: list[tuple[str, str]] = []

    def readers_available(self, available: bool) -> None: ...

    def reader_added(self, reader: Reader, user: int | None = None) -> None:
        self.readers[reader.name] = reader
        self.told.append("added")

    def reader_removed(self, name: str) -> None:
        del self.readers[name]
        self.tokens.pop(name, None)
        self.told.append("removed")

    def card_inserted(self, name: str, atr: bytes) -> None:
        self.leave(self.left | {name})

    def token_inserted(self, name: str, token: Token) -> None:
        assert name in self.readers
        self.tokens[name] = token

    def card_removed(self, name: str) -> None:
        self.leave(self.left - {name})

    def leave(self, readers: frozenset[str]) -> None:
        assert self.source
        self.left = readers
        self.source.readers_left(readers)

    def source_failed(self, source: str, why: str) -> None:
        self.failed.append((source, why))

    def open_card(self, name: str, channel: Channel) -> Card:
        raise NotImplementedError


@asynccontextmanager
async def watched(*modules: str, patience: Patience | None = None) -> AsyncIterator[tuple[Pkcs11Source, Listener]]:
    source = Pkcs11Source(SourceSettings(modules=modules, files=softhsm.files()), patience)
    listener = Listener(source)
    await source.start(listener)
    try:
        yield source, listener
    finally:
        await source.stop()


def lists(hsm: SoftHsm) -> int:
    """How often the module was asked which tokens there are."""
    noted = hsm.directory.parent / "lists"
    return noted.stat().st_size if noted.exists() else 0


def process(source: Pkcs11Source) -> int | None:
    return source.tokens[0].module.pid


def test_no_module_means_no_source() -> None:
    assert pkcs11_source(SourceSettings()) is None


async def test_each_token_is_a_reader_with_a_card(hsm: SoftHsm) -> None:
    async with watched(hsm.module, hsm.module) as (_, listener):
        await eventually(lambda: len(listener.tokens) == 2)
        assert {token.kind for token in listener.tokens.values()} == {CardKind.PKCS11}
        for reader in listener.readers.values():
            info = await reader.run(lambda connection: connection.open().info, timeout=20)
            assert len(info.keys) == 2
        assert listener.told == ["added", "added"], "one module named twice is loaded once"


async def test_a_module_that_fails_keeps_no_other_back(hsm: SoftHsm, tmp_path: Path) -> None:
    (tmp_path / "no.so").write_text("no module")
    async with watched(str(tmp_path / "absent.so"), str(tmp_path / "no.so"), hsm.module) as (_, listener):
        await eventually(lambda: len(listener.tokens) == 2)
        await eventually(lambda: ("no", "exit 1") in listener.failed)


async def test_a_token_taken_out_and_put_back_is_told_by_the_modules_event(hsm: SoftHsm, shim: Shim) -> None:
    directory = hsm.directory.parent
    os.mkfifo(directory / "slot")
    with (directory / "slot").open("r+b", buffering=0) as slot:
        async with watched(shim(REMOVABLE | TELLING)) as (_, listener):
            await eventually(lambda: len(listener.tokens) == 2)
            (directory / "removed").touch()
            slot.write(b"!")
            await eventually(lambda: not listener.tokens)
            (directory / "removed").unlink()
            slot.write(b"!")
            await eventually(lambda: len(listener.tokens) == 2)


async def test_a_module_that_tells_changes_without_end_is_heard_now_and_then(hsm: SoftHsm, shim: Shim) -> None:
    async with watched(shim(ALWAYS_TELLING)) as (_, listener):
        await eventually(lambda: len(listener.tokens) == 2)
        await asyncio.sleep(0.5)
        assert len(asyncio.all_tasks()) < 10


async def test_a_module_that_shows_tokens_without_end_gets_readers_for_some(
    hsm: SoftHsm, shim: Shim, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(shim(A_THOUSAND)) as (_, listener):
        await eventually(lambda: "1000 tokens; 128 are used" in caplog.text)
        await eventually(lambda: len(listener.readers) == 128)


async def test_a_token_taken_out_is_noticed_at_use_where_the_module_tells_nothing(hsm: SoftHsm, shim: Shim) -> None:
    async with watched(shim(REMOVABLE)) as (_, listener):
        await eventually(lambda: len(listener.tokens) == 2)
        reader = next(iter(listener.readers.values()))
        (hsm.directory.parent / "removed").touch()
        with pytest.raises(CardRemoved):
            await reader.run(lambda connection: connection.open().info, timeout=20)
        await eventually(lambda: not listener.readers)


async def test_a_list_that_is_asked_for_is_read_again(hsm: SoftHsm, shim: Shim) -> None:
    (hsm.directory.parent / "removed").touch()
    async with watched(shim(REMOVABLE)) as (source, listener):
        await source.refresh()
        assert not listener.readers
        (hsm.directory.parent / "removed").unlink()
        await source.refresh()
        assert len(listener.tokens) == 2


async def test_what_says_nothing_when_it_comes_is_looked_at_again(hsm: SoftHsm, shim: Shim) -> None:
    mute = hsm.directory.parent / "mute"
    mute.touch()
    async with watched(shim(MUTE)) as (source, listener):
        await source.refresh()
        assert not listener.readers
        mute.unlink()  # and no event tells it
        await eventually(lambda: len(listener.tokens) == 2)


async def test_what_goes_on_saying_nothing_is_left_alone(hsm: SoftHsm, shim: Shim) -> None:
    patience = Patience(look_pause=0.01)  # and twice as long, and four times
    (hsm.directory.parent / "mute").touch()
    async with watched(shim(MUTE | COUNTING), patience=patience) as (source, listener):
        await eventually(lambda: lists(hsm) == 1 + patience.looks)
        await source.refresh()
        await asyncio.sleep(0.5)
        assert (lists(hsm), listener.readers) == (2 + patience.looks, {})


async def test_a_process_that_ends_unused_is_started_anew_and_tells_events_again(hsm: SoftHsm, shim: Shim) -> None:
    directory = hsm.directory.parent
    os.mkfifo(directory / "slot")
    with (directory / "slot").open("r+b", buffering=0) as slot:
        async with watched(shim(REMOVABLE | TELLING)) as (source, listener):
            await eventually(lambda: len(listener.tokens) == 2)
            killed = process(source)
            assert killed
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: process(source) not in (None, killed))
            await source.refresh()
            assert listener.told == ["added", "added"], "the tokens are still there"
            assert listener.failed == [("shim", "signal 9")]
            opened = await next(iter(listener.readers.values())).run(lambda connection: connection.open(), timeout=10)
            assert opened.info.label.endswith("SIMULATION")
            (directory / "removed").touch()
            slot.write(b"!")
            await eventually(lambda: not listener.tokens)


async def test_a_first_start_that_fails_is_tried_again(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = os.environ["SOFTHSM2_CONF"]
    monkeypatch.setenv("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf")
    async with watched(hsm.module) as (_, listener):
        await eventually(lambda: bool(listener.failed))
        monkeypatch.setenv("SOFTHSM2_CONF", configuration)
        await eventually(lambda: len(listener.tokens) == 2)


async def test_a_module_that_never_starts_is_left_alone_after_some_tries(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    patience = Patience(failures_max=3, pause_max=0.05)
    (tmp_path / "no.so").write_text("no module")
    async with watched(str(tmp_path / "no.so"), patience=patience) as (source, _):
        await eventually(lambda: "left alone" in caplog.text)
        starts = source.tokens[0].module.generation
        await asyncio.sleep(0.5)  # ten times the pause
        assert source.tokens[0].module.generation == starts


async def test_stopping_takes_seconds_while_a_module_hangs(hsm: SoftHsm, shim: Shim) -> None:
    (hsm.directory.parent / "ill").touch()
    hanging = {
        4: '(byte present, ulong *list, ulong *count) { close(creat(DIRECTORY "/begun", 0600)); for (;;) pause(); }'
    }
    async with watched(shim(hanging)):
        await eventually((hsm.directory.parent / "begun").exists)
        begun = time.monotonic()
    assert time.monotonic() - begun < 6


@asynccontextmanager
async def open_sc(
    directory: Path, monkeypatch: pytest.MonkeyPatch, name: str = "Virtual", module: str = OPENSC
) -> AsyncIterator[tuple[Pcscd, Listener]]:
    pcscd = Pcscd(directory, name=name)
    use_here(pcscd)
    (directory / "opensc.conf").write_text(CONFIGURATION)
    monkeypatch.setenv("OPENSC_CONF", str(directory / "opensc.conf"))
    pcscd.start()
    readers = PcscReaders()
    try:
        async with watched(module) as (source, listener):
            await source.refresh()
            await readers.start(listener)
            yield pcscd, listener
    finally:
        await readers.stop()
        pcscd.stop()


async def test_a_readers_name_too_long_for_pkcs11_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core knows by it that a native driver has the card already."""
    async with open_sc(tmp_path, monkeypatch, LONG_NAME) as (pcscd, listener):
        with inserted(simulated_card(), pcscd):
            await eventually(lambda: bool(listener.tokens))
            assert len(pcscd.reader_names[0]) > 64
            assert [token.slot for token in listener.tokens.values()] == [pcscd.reader_names[0]]


@pytest.mark.parametrize("functions", [{}, FORGETFUL], ids=["OpenSC", "a module that cannot wait"])
async def test_a_card_that_comes_and_goes_behind_open_sc_is_a_token_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, functions: Mapping[int, str]
) -> None:
    module = compiled(tmp_path, OPENSC, functions)
    async with open_sc(tmp_path, monkeypatch, module=module) as (pcscd, listener):
        for _ in range(2):
            with plugged(simulated_card(), pcscd.ports[0]):
                await eventually(lambda: [token.slot for token in listener.tokens.values()] == [pcscd.reader_names[0]])
            await eventually(lambda: not listener.tokens)


async def test_a_card_that_is_left_no_more_is_no_token_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_sc(tmp_path, monkeypatch) as (pcscd, listener):
        with plugged(simulated_card(), pcscd.ports[0]):
            await eventually(lambda: bool(listener.tokens))
            listener.leave(frozenset())
            assert not listener.tokens
            listener.leave(frozenset(pcscd.reader_names[:1]))
            await eventually(lambda: bool(listener.tokens))


async def test_tokens_come_back_with_pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_sc(tmp_path, monkeypatch) as (pcscd, listener):
        with plugged(simulated_card(), pcscd.ports[0]):
            await eventually(lambda: bool(listener.tokens))
            pcscd.stop()
            await eventually(lambda: not listener.tokens)
            pcscd.start()
            await eventually(lambda: bool(listener.tokens))
