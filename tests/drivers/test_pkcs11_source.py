"""The tokens of modules as readers: they come and go with the cards, and a failing module is told of."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cardd.driver import Card, Channel
from cardd.model import CardKind
from cardd.ports import Reader, Token
from cardd.secret import Secret
from cardd_drivers.pkcs11.reader import TokenConnection
from cardd_drivers.pkcs11.source import ModuleTokens
from cardd_drivers.pkcs11.wire import ListTokens
from tests.contract.cases import OPENSC
from tests.rig.here import use_here
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import plugged, simulated_card
from tests.rig.softhsm import SoftHsm
from tests.simulator.opensc import CONFIGURATION

# a module with one token whose PIN is typed on a keypad of its own; it notes how it was logged in to
KEYPAD = r"""
#include <stdio.h>
#include <string.h>
typedef unsigned long ulong;
static ulong ok(void) { return 0; }
static ulong unsupported(void) { return 0x54; }
static ulong slots(unsigned char present, ulong *list, ulong *count) {
    if (list && *count) *list = 7;
    *count = 1;
    return 0;
}
static ulong slot_info(ulong slot, unsigned char *info) {
    memset(info, ' ', 96);
    memset(info + 96, 0, 16);
    *(ulong *)(info + 96) = 1;
    return 0;
}
static ulong token_info(ulong slot, unsigned char *info) {
    memset(info, ' ', 96);
    memcpy(info, "KEYPAD SIMULATION", 17);
    memset(info + 96, 0, 112);
    *(ulong *)(info + 96) = 0x40D | 0x100;
    return 0;
}
static ulong mechanisms(ulong slot, ulong *list, ulong *count) { *count = 0; return 0; }
static ulong open_session(ulong slot, ulong flags, void *p, void *n, ulong *session) { *session = 1; return 0; }
static ulong login(ulong session, ulong user, void *pin, ulong size) {
    FILE *file = fopen("NOTES", "a");
    fprintf(file, "user %lu, pin %s, %lu bytes\n", user, pin ? "given" : "typed", size);
    fclose(file);
    return 0;
}
static ulong found(ulong session, ulong *list, ulong most, ulong *count) { *count = 0; return 0; }
static struct { unsigned char version[2]; void *functions[68]; } list = {{2, 40}, {0}};
ulong C_GetFunctionList(void **given) {
    for (int place = 0; place < 68; place++) list.functions[place] = (void *)unsupported;
    list.functions[0] = list.functions[1] = list.functions[2] = (void *)ok;
    list.functions[4] = (void *)slots;
    list.functions[5] = (void *)slot_info;
    list.functions[6] = (void *)token_info;
    list.functions[7] = (void *)mechanisms;
    list.functions[12] = (void *)open_session;
    list.functions[13] = list.functions[14] = (void *)ok;
    list.functions[18] = (void *)login;
    list.functions[19] = (void *)ok;
    list.functions[26] = list.functions[28] = (void *)ok;
    list.functions[27] = (void *)found;
    *given = &list;
    return 0;
}
"""


class Listener:
    """``told`` has what happened, one after the other."""

    def __init__(self) -> None:
        self.readers: dict[str, Reader] = {}
        self.told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def next(self) -> tuple[str, str]:
        async with asyncio.timeout(20):
            return await self.told.get()

    def readers_available(self, available: bool) -> None:
        raise AssertionError("that is for PC/SC to say")

    def reader_added(self, reader: Reader) -> None:
        self.readers[reader.name] = reader

    def reader_removed(self, name: str) -> None:
        self.told.put_nowait(("removed", name))

    def card_inserted(self, name: str, atr: bytes) -> None:
        raise AssertionError("no token has an ATR")

    def token_inserted(self, name: str, token: Token) -> None:
        assert token.kind is CardKind.PKCS11
        self.told.put_nowait(("token", token.slot))

    def card_removed(self, name: str) -> None:
        self.told.put_nowait(("removed", name))

    def source_failed(self, source: str, why: str) -> None:
        self.told.put_nowait(("failed", why))

    def open_card(self, name: str, channel: Channel) -> Card:
        raise AssertionError("no token has a channel")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def pcscd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path)
    use_here(pcscd)
    pcscd.start()
    (tmp_path / "opensc.conf").write_text(CONFIGURATION)
    monkeypatch.setenv("OPENSC_CONF", str(tmp_path / "opensc.conf"))
    yield pcscd
    pcscd.stop()


@pytest.fixture
async def opensc(pcscd: Pcscd, listener: Listener) -> AsyncIterator[ModuleTokens]:
    tokens = ModuleTokens(OPENSC, listener)
    tokens.start()
    yield tokens
    await tokens.stop()


async def test_a_card_that_comes_and_goes_is_a_token_that_does(
    opensc: ModuleTokens, pcscd: Pcscd, listener: Listener
) -> None:
    await asyncio.to_thread(opensc.module.call, ListTokens())
    for _ in range(2):
        with plugged(simulated_card(), pcscd.ports[0]):
            assert await listener.next() == ("token", pcscd.reader_names[0])
        assert await listener.next() == ("removed", f"opensc-pkcs11: {pcscd.reader_names[0]}")


async def test_a_module_that_is_killed_is_told_of_and_has_its_tokens_still(
    tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    hsm = SoftHsm(tmp_path)
    hsm.token("SIMULATION", ec=True)
    for name, value in hsm.environment.items():
        monkeypatch.setenv(name, value)
    tokens = ModuleTokens(hsm.module, listener)
    tokens.start()
    assert (await listener.next())[0] == "token"
    assert tokens.module.pid
    os.kill(tokens.module.pid, signal.SIGKILL)
    [reader] = listener.readers.values()
    assert await listener.next() == ("failed", "signal 9")
    opened = await reader.run(lambda connection: connection.open(), timeout=10)
    assert opened.info.label == "SIMULATION"
    await tokens.stop()


def keypad_module(directory: Path, notes: Path) -> str:
    source, library = directory / "keypad.c", directory / "keypad.so"
    source.write_text(KEYPAD.replace("NOTES", str(notes)))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    return str(library)


async def test_a_token_with_a_keypad_asks_for_the_pin_itself(tmp_path: Path, listener: Listener) -> None:
    notes = tmp_path / "notes"
    tokens = ModuleTokens(keypad_module(tmp_path, notes), listener)
    tokens.start()
    await listener.next()
    [reader] = listener.readers.values()

    def log_in(connection: TokenConnection) -> bool:
        connection.open().verify(None)
        return connection.has_pinpad

    assert await reader.run(log_in, timeout=10)  # type: ignore[arg-type] # a module's reader has such connections only
    assert notes.read_text() == "user 1, pin typed, 0 bytes\n"
    with Secret.of(b"1234") as pin:
        await reader.run(lambda connection: connection.open().verify(pin), timeout=10)
    assert notes.read_text().endswith("user 1, pin given, 4 bytes\n")
    await tokens.stop()
