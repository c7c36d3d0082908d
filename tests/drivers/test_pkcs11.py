"""PKCS#11 modules in processes of their own: what a crash, a hang or a lie of a module costs."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.errors import CardRemoved, ModuleFailed, PinRequired
from cardd.model import Algorithm, KeyPurpose, KeyRef, Message
from cardd.secret import Secret
from cardd_drivers.pkcs11 import module as pkcs11_module
from cardd_drivers.pkcs11.card import TokenCard
from cardd_drivers.pkcs11.module import Module
from cardd_drivers.pkcs11.reader import TokenConnection
from cardd_drivers.pkcs11.source import resolve
from cardd_drivers.pkcs11.wire import ListTokens
from tests.rig.softhsm import PIN, SoftHsm

MESSAGE = Message(hashlib.sha256(b"SIMULATION").digest())

# a module that has one slot without a token, and does what its file name says when it is asked for a slot's data
STRANGE = """
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef unsigned long ulong;
static ulong ok(void) { return 0; }
static ulong unsupported(void) { return 0x54; }
static ulong slots(unsigned char present, ulong *list, ulong *count) { WHAT; *count = 0; return 0; }
static struct { unsigned char version[2]; void *functions[68]; } list = {{2, 40}, {0}};
ulong C_GetFunctionList(void **found) {
    for (int place = 0; place < 68; place++) list.functions[place] = (void *)unsupported;
    list.functions[0] = list.functions[1] = (void *)ok;
    list.functions[2] = (void *)ok;
    list.functions[4] = (void *)slots;
    *found = &list;
    return 0;
}
"""


def strange_module(directory: Path, what: str) -> str:
    source, library = directory / "strange.c", directory / "strange.so"
    source.write_text(STRANGE.replace("WHAT", what))
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True, timeout=60)
    return str(library)


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    hsm = SoftHsm(tmp_path_factory.mktemp("hsm"))
    hsm.token("SIMULATION", ec=True)
    return hsm


@pytest.fixture
def module(hsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Module]:
    for name, value in hsm.environment.items():
        monkeypatch.setenv(name, value)
    module = Module(hsm.module)
    yield module
    module.close()


@pytest.fixture
def connection(module: Module) -> TokenConnection:
    [token] = module.call(ListTokens()).tokens
    return TokenConnection(module, token, "Lecteur de test")


@pytest.fixture
def card(connection: TokenConnection) -> Card:
    card = connection.open()
    login(card)
    return card


def login(card: Card) -> None:
    with Secret.of(PIN.encode()) as pin:
        card.verify(pin)


def key(card: Card) -> KeyRef:
    found = card.info.key(KeyPurpose.SIGNATURE)
    assert found
    return found


def sign_for_ever(card: Card) -> None:
    while True:
        card.sign(key(card), Algorithm.ES256, MESSAGE)


def kill(module: Module) -> None:
    assert module.pid
    os.kill(module.pid, signal.SIGKILL)


def kill_and_wait(module: Module) -> None:
    kill(module)
    deadline = time.monotonic() + 10
    while module.pid:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_module_killed_between_two_signatures_is_started_anew(
    module: Module, connection: TokenConnection, card: Card
) -> None:
    before = connection.resets
    card.sign(key(card), Algorithm.ES256, MESSAGE)
    kill(module)
    with pytest.raises(ModuleFailed) as failed:
        card.sign(key(card), Algorithm.ES256, MESSAGE)
    assert failed.value.retryable
    assert failed.value.params["why"] == "signal 9"
    again = connection.open()
    login(again)
    assert len(again.sign(key(again), Algorithm.ES256, MESSAGE)) == 64
    assert connection.resets > before


def test_a_module_killed_during_signatures_costs_one_of_them(module: Module, card: Card) -> None:
    killer = threading.Timer(0.05, kill, [module])
    killer.start()
    with pytest.raises(ModuleFailed):
        sign_for_ever(card)
    assert isinstance(card, TokenCard)
    login(card)
    assert card.sign(key(card), Algorithm.ES256, MESSAGE)


def test_a_process_that_ended_unused_is_replaced_unnoticed(module: Module, connection: TokenConnection) -> None:
    kill_and_wait(module)
    assert connection.open().pin_status().tries_left is None
    assert module.fault == "signal 9"


def test_a_new_process_has_no_login(module: Module, connection: TokenConnection, card: Card) -> None:
    kill_and_wait(module)
    with pytest.raises(ModuleFailed):
        card.sign(key(card), Algorithm.ES256, MESSAGE)
    connection.end(reset=True)
    with pytest.raises(PinRequired):
        card.sign(key(card), Algorithm.ES256, MESSAGE)


@pytest.mark.skipif(os.geteuid() != 0, reason="a process that cannot be dumped shows its environment to root only")
def test_the_pin_is_in_no_argument_and_no_environment(module: Module, card: Card) -> None:
    for file in ("cmdline", "environ"):
        assert PIN.encode() not in Path(f"/proc/{module.pid}/{file}").read_bytes()


def test_a_token_that_goes_is_a_card_removed(hsm: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = hsm.copy(tmp_path)
    for name, value in copied.environment.items():
        monkeypatch.setenv(name, value)
    module = Module(copied.module)
    [token] = module.call(ListTokens()).tokens
    for place in (tmp_path / "tokens").iterdir():
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    module.close()
    module = Module(copied.module)
    with pytest.raises(CardRemoved):
        TokenConnection(module, token, "Lecteur de test").open()
    module.close()


@pytest.mark.parametrize("what", ["abort()", "*(volatile int *)0 = 1", "_exit(7)"])
def test_a_module_that_crashes_takes_nobody_along_and_is_left_alone_for_a_while(tmp_path: Path, what: str) -> None:
    module = Module(strange_module(tmp_path, what))
    for _ in range(4):
        with pytest.raises(ModuleFailed):
            module.call(ListTokens())
    starts = module.generation
    with pytest.raises(ModuleFailed):
        module.call(ListTokens())
    assert module.generation == starts
    assert module.fault
    module.close()


def test_a_module_that_hangs_is_ended_in_time(tmp_path: Path) -> None:
    module = Module(strange_module(tmp_path, "for (;;) pause()"))
    begun = time.monotonic()
    with pytest.raises(ModuleFailed) as failed:
        module.call(ListTokens(), limit=1.0)
    assert time.monotonic() - begun < 1.0 + 3 * pkcs11_module.ENDING
    assert failed.value.params["why"] == "timeout"
    assert module.pid is None
    module.close()


def test_a_module_without_tokens_has_none(tmp_path: Path) -> None:
    module = Module(strange_module(tmp_path, "(void)present"))
    assert module.call(ListTokens()).tokens == ()
    module.close()


def test_a_file_that_is_no_module_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.so").write_text("no module")
    module = Module(str(tmp_path / "no.so"))
    with pytest.raises(ModuleFailed):
        module.call(ListTokens())
    module.close()


def test_a_modules_process_ends_with_the_one_that_started_it(module: Module) -> None:
    script = (
        "import sys; from cardd_drivers.pkcs11.module import Module; from cardd_drivers.pkcs11.wire import ListTokens\n"
        "module = Module(sys.argv[1]); module.call(ListTokens()); print(module.pid, flush=True); import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, module.path], capture_output=True, text=True, timeout=60, check=True
    )
    started = Path(f"/proc/{int(done.stdout)}")
    deadline = time.monotonic() + 10
    while started.exists() and "Z" not in started.joinpath("stat").read_text().rpartition(")")[2].split()[0]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_modules_are_named_by_path_or_by_their_name_in_p11_kit(hsm: SoftHsm) -> None:
    assert resolve(hsm.module) == hsm.module
    found = resolve("softhsm2")
    assert found is not None
    assert Path(found).resolve() == Path(hsm.module).resolve()
    assert resolve("opensc-pkcs11") is not None
    assert resolve("/nowhere/module.so") is None
    assert resolve("../../etc/passwd") is None
    assert resolve("cps") is None or Path(str(resolve("cps"))).exists()
