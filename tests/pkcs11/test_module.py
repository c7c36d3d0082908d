"""What a crash or an end of a module's process costs, and what a module may be."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.errors import CardRemoved, ModuleFailed, PinRequired
from cardd.model import Algorithm, KeyPurpose, Message
from cardd_drivers.pkcs11.module import Module
from cardd_drivers.pkcs11.source import resolve
from cardd_drivers.pkcs11.wire import ListTokens
from tests.pkcs11.conftest import connection, log_in
from tests.pkcs11.shim import GET_SLOT_LIST
from tests.rig.softhsm import PIN, SoftHsm
from tests.rig.waiting import eventually_here

Load = Callable[[str], Module]
Shim = Callable[[Mapping[int, str]], str]
MESSAGE = Message(hashlib.sha256(b"SIMULATION").digest())
KILLED = "signal 9"


def sign(card: Card) -> bytes:
    key = card.info.key(KeyPurpose.SIGNATURE)
    assert key
    return card.sign(key, Algorithm.ES256, MESSAGE)


def kill(module: Module) -> None:
    """Kill the process, and wait until the module knows."""
    assert module.pid
    os.kill(module.pid, signal.SIGKILL)
    eventually_here(lambda: module.pid is None)


def listing(what: str) -> dict[int, str]:
    """A C_GetSlotList that does this."""
    return {GET_SLOT_LIST: f"(byte present, ulong *list, ulong *count) {{ {what}; *count = 0; return 0; }}"}


def test_a_process_killed_between_two_signatures_costs_the_second(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    token = connection(module)
    card, before = token.open(), token.resets
    log_in(card)
    sign(card)
    kill(module)
    with pytest.raises(ModuleFailed) as failed:
        sign(card)
    assert (failed.value.retryable, failed.value.params["why"]) == (True, KILLED)
    again = token.open()
    log_in(again)
    assert len(sign(again)) == 64
    assert token.resets > before


def test_a_process_that_ended_unused_is_replaced_unnoticed(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    token = connection(module)
    kill(module)
    assert token.open().pin_status().tries_left is None
    assert module.fault == KILLED


def test_a_new_process_has_no_login(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    token = connection(module)
    card = token.open()
    log_in(card)
    kill(module)
    with pytest.raises(ModuleFailed):
        sign(card)
    token.end(reset=True)
    with pytest.raises(PinRequired):
        sign(card)


@pytest.mark.skipif(os.geteuid() != 0, reason="a process that cannot be dumped shows its environment to root only")
def test_the_pin_and_the_proxy_s_password_are_in_no_argument_and_no_environment(
    hsm: SoftHsm, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://cardd:secret-SIMULATION@proxy.example:3128")
    module = load(hsm.module)
    log_in(connection(module).open())
    for file in ("cmdline", "environ"):
        told = Path(f"/proc/{module.pid}/{file}").read_bytes()
        assert PIN.encode() not in told
        assert b"secret-SIMULATION" not in told


def test_a_token_that_goes_is_a_card_removed(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    gone = connection(module)
    for place in (hsm.directory / "tokens").iterdir():
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    kill(module)
    with pytest.raises(CardRemoved):
        gone.open()


@pytest.mark.parametrize("what", ["abort()", "*(volatile int *)0 = 1", "_exit(7)"])
def test_a_module_that_crashes_takes_nobody_along_and_is_left_alone_for_a_while(
    load: Load, shim: Shim, what: str
) -> None:
    module = load(shim(listing(what)))
    for _ in range(4):
        with pytest.raises(ModuleFailed):
            module.call(ListTokens())
    starts = module.generation
    with pytest.raises(ModuleFailed):
        module.call(ListTokens())
    assert module.generation == starts
    assert module.fault


def test_a_module_without_tokens_has_none(load: Load, shim: Shim) -> None:
    assert load(shim(listing("(void)list"))).call(ListTokens()).tokens == ()


def test_a_file_that_is_no_module_is_told(load: Load, tmp_path: Path) -> None:
    (tmp_path / "no.so").write_text("no module")
    with pytest.raises(ModuleFailed):
        load(str(tmp_path / "no.so")).call(ListTokens())


def test_a_modules_process_ends_with_the_one_that_started_it(hsm: SoftHsm) -> None:
    script = (
        "import sys; from cardd_drivers.pkcs11.wire import ListTokens\n"
        "from cardd_drivers.pkcs11.module import ModuleSandbox, Module\n"
        "module = Module(sys.argv[1], sandbox=ModuleSandbox(files=(sys.argv[2],))); module.call(ListTokens())\n"
        "print(module.pid, flush=True); import os; os._exit(0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, hsm.module, str(hsm.directory)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    started = Path(f"/proc/{int(done.stdout)}")
    eventually_here(lambda: not started.exists() or " Z " in (started / "stat").read_text())


def test_modules_are_named_by_path_or_by_their_name_in_p11_kit(hsm: SoftHsm) -> None:
    assert resolve(hsm.module) == hsm.module
    found = resolve("softhsm2")
    assert found is not None
    assert Path(found).resolve() == Path(hsm.module).resolve()
    assert resolve("opensc-pkcs11") is not None
    assert resolve("/nowhere/module.so") is None
    assert resolve("../../etc/passwd") is None
    assert resolve("cps") is None or Path(str(resolve("cps"))).exists()
