"""A module's process: what it outlives, and what becomes of a module that hangs, crashes or grows."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cardd.driver import Card
from cardd.errors import CarddError, ModuleFailed
from cardd.frames import framed
from cardd.model import UNCONFINED, Algorithm, Confinement, KeyPurpose, KeyRef, Message
from cardd.secret import Secret
from cardd_drivers.pkcs11.card import TokenCard
from cardd_drivers.pkcs11.module import Module, ModuleSandbox
from cardd_drivers.pkcs11.wire import ListTokens, Sign, receive_reply
from tests.integration.test_pin_leaks import found_in_memory
from tests.pkcs11.conftest import connection, log_in, token_of
from tests.pkcs11.shim import GET_SLOT_LIST, LOGIN, LOGOUT, signing
from tests.rig.softhsm import PIN, SoftHsm

Load = Callable[[str], Module]
Shim = Callable[[Mapping[int, str]], str]
MESSAGE = Message(hashlib.sha256(b"SIMULATION").digest())
LONG_PIN = "SIMULATION-7391-4628"


def key(card: Card) -> KeyRef:
    found = card.info.key(KeyPurpose.SIGNATURE)
    assert found
    return found


def sign(card: Card) -> bytes:
    return card.sign(key(card), Algorithm.ES256, MESSAGE)


def logged_in(module: Module) -> Card:
    card = connection(module).open()
    log_in(card)
    return card


def test_the_process_outlives_the_thread_that_started_it(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    thread = threading.Thread(target=lambda: module.call(ListTokens()))
    thread.start()
    thread.join()
    assert len(module.call(ListTokens()).tokens) == 2
    assert module.generation == 1


def test_nothing_is_imported_from_the_current_directory(
    hsm: SoftHsm, load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert load(hsm.module).call(ListTokens()).tokens


def test_the_process_dumps_no_core(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    module.call(ListTokens())
    limits = Path(f"/proc/{module.pid}/limits").read_text()
    assert next(line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")) == ["0", "0"]


def test_a_signature_that_hangs_ends_in_time_and_the_next_call_works(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    module = load(shim(signing("for (;;) pause()")))
    card = logged_in(module)
    ill = hsm.directory.parent / "ill"
    ill.touch()
    request = Sign(slot=token_of(module).slot, key=b"\x51", algorithm="ES256", digest=MESSAGE.digest)
    begun = time.monotonic()
    with pytest.raises(ModuleFailed) as failed:
        module.call(request, limit=0.5)
    assert time.monotonic() - begun < 5
    assert (failed.value.params["why"], failed.value.retryable) == ("timeout", True)
    ill.unlink()
    log_in(card)
    assert len(sign(card)) == 64


def test_a_signature_that_crashes_is_told_and_the_next_one_works(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    module = load(shim(signing("*(volatile int *)0 = 1")))
    card = logged_in(module)
    ill = hsm.directory.parent / "ill"
    ill.touch()
    with pytest.raises(ModuleFailed) as failed:
        sign(card)
    assert failed.value.params["why"] == f"signal {signal.SIGSEGV.value}"
    ill.unlink()
    log_in(card)
    assert len(sign(card)) == 64


def test_a_module_whose_sandbox_is_demanded_and_cannot_be_made_is_not_run(hsm: SoftHsm) -> None:
    ending = f"import os; os._exit({UNCONFINED})"
    module = Module(hsm.module, sandbox=ModuleSandbox(Confinement.REQUIRED), command=(sys.executable, "-c", ending))
    with pytest.raises(ModuleFailed) as failed:
        module.call(ListTokens())
    assert failed.value.params["why"] == "no sandbox"
    module.close()


FORKING = "int child = fork(); if (child < 0) return 5; if (!child) _exit(0); waitpid(child, 0, 0)"


def test_a_module_that_forks_is_refused_in_its_sandbox_and_serves_without(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    path = shim(signing(FORKING))
    (hsm.directory.parent / "ill").touch()
    with pytest.raises(CarddError):
        sign(logged_in(load(path)))
    outside = Module(path, sandbox=ModuleSandbox(Confinement.OFF))
    assert len(sign(logged_in(outside))) == 64
    outside.close()


# at each list of slots one line more, at each signature the PIN
TALKING = {
    GET_SLOT_LIST: f"""(byte present, ulong *list, ulong *count) {{
        static int said = 0;
        while (said++ < 1000) dprintf(2, "audit head %d FORGED\\n", said);
        return REAL({GET_SLOT_LIST})(present, list, count);
    }}"""
}
TELLING_ITS_PIN = {
    LOGIN: f"""(ulong session, ulong user, byte *pin, ulong size) {{
        dprintf(2, "PIN %.*s\\n", (int)size, pin);
        return REAL({LOGIN})(session, user, pin, size);
    }}"""
}


def test_what_a_module_prints_is_told_as_its_words_and_not_without_end(
    load: Load, shim: Shim, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    module = load(shim(TALKING))
    assert len(module.call(ListTokens()).tokens) == 2
    module.close()
    assert caplog.messages[0] == "PKCS#11 module shim.so says: “audit head 1 FORGED”"
    assert len(caplog.messages) == 65
    assert "more than the journal gets" in caplog.messages[-1]
    assert "FORGED" not in capfd.readouterr().err


def test_a_module_that_prints_the_pin_prints_it_nowhere(
    load: Load, shim: Shim, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    module = load(shim(TELLING_ITS_PIN))
    logged_in(module)
    module.close()
    assert PIN not in caplog.text + capfd.readouterr().err


def test_a_process_killed_inside_a_signature_costs_that_one(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    begun = 'close(creat(DIRECTORY "/begun", 0600)); sleep(30)'
    module = load(shim(signing(begun)))
    card = logged_in(module)
    ill = hsm.directory.parent / "ill"
    ill.touch()

    def kill() -> None:
        while not (hsm.directory.parent / "begun").exists():
            time.sleep(0.005)
        assert module.pid
        os.kill(module.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(ModuleFailed) as failed:
        sign(card)
    killer.join()
    assert failed.value.params["why"] == "signal 9"
    ill.unlink()
    log_in(card)
    assert len(sign(card)) == 64


def test_a_module_that_grew_is_replaced_after_the_logout_without_a_fault(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    module = load(shim(signing("memset(malloc(300ul << 20), 1, 300ul << 20)")))
    line = connection(module)
    card = line.open()
    log_in(card)
    ill = hsm.directory.parent / "ill"
    ill.touch()
    sign(card)
    ill.unlink()
    line.end(reset=True)
    log_in(card)
    assert len(sign(card)) == 64
    assert (module.generation, module.fault) == (2, "")


def test_a_module_that_wants_ever_more_memory_gets_no_more(hsm: SoftHsm, load: Load, shim: Shim) -> None:
    four_gibibytes = "for (int n = 0; n < 64; n++) if (!malloc(64ul << 20)) abort()"
    card = logged_in(load(shim(signing(four_gibibytes))))
    (hsm.directory.parent / "ill").touch()
    with pytest.raises(ModuleFailed) as failed:
        sign(card)
    assert failed.value.params["why"] == f"signal {signal.SIGABRT.value}"


def test_closing_does_not_wait_for_a_module_that_hangs(load: Load, shim: Shim) -> None:
    module = load(shim({LOGOUT: '(ulong session) { close(creat(DIRECTORY "/begun", 0600)); for (;;) pause(); }'}))
    card = logged_in(module)
    assert isinstance(card, TokenCard)
    failures: list[CarddError] = []

    def log_out() -> None:
        try:
            card.logout(reset=True)
        except CarddError as error:
            failures.append(error)

    thread = threading.Thread(target=log_out)
    thread.start()
    while not (Path(module.path).parent / "begun").exists():
        time.sleep(0.005)
    begun = time.monotonic()
    module.close()
    thread.join()
    assert time.monotonic() - begun < 5
    assert [type(failure) for failure in failures] == [ModuleFailed]


@pytest.mark.parametrize("pause", [0.05, 0.0], ids=["now and then", "always one more byte"])
def test_an_answer_that_only_trickles_in_is_late(hsm: SoftHsm, pause: float) -> None:
    ours, theirs = socket.socketpair()
    stop = threading.Event()

    def trickle() -> None:
        theirs.sendall((2_000_000).to_bytes(4, "big"))
        while not stop.wait(pause):
            theirs.sendall(b"\0")

    thread = threading.Thread(target=trickle)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        receive_reply(ours, begun + 0.3)
    stop.set()
    thread.join()
    assert time.monotonic() - begun < 5
    ours.close()
    theirs.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="another process's memory is root's to read")
def test_the_pin_is_nowhere_in_the_process_after_the_logout(hsm: SoftHsm, load: Load) -> None:
    module = load(hsm.module)
    line = connection(module)
    card = line.open()
    with Secret.of(b"2468") as old, Secret.of(LONG_PIN.encode()) as new:
        card.change_pin(old, new)
    log_in(card, LONG_PIN)
    sign(card)
    line.end(reset=True)
    assert module.pid
    assert found_in_memory(module.pid, LONG_PIN) == []
    assert found_in_memory(module.pid, "EC SIMULATION"), "what the process does hold is found"


# in the host's place: answers each request with these octets
ANSWERING = """
import socket, sys
daemon = socket.socket(fileno=int(sys.argv[2]))
while daemon.recv(4096):
    daemon.sendall(bytes.fromhex(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "octets",
    [b"\xff" * 4, framed(b"no msgpack"), framed(b"\x81\xa1a" * 2000)],
    ids=["longer than any answer", "no answer", "deep"],
)
def test_a_process_that_answers_what_none_can_has_failed(octets: bytes) -> None:
    module = Module("/x.so", command=(sys.executable, "-I", "-S", "-c", ANSWERING, octets.hex()))
    with pytest.raises(ModuleFailed):
        module.call(ListTokens())
    module.close()


def test_a_process_that_cannot_be_started_is_told() -> None:
    for path, command in (("/x.so", ("/nonexistent/python",)), ("/x\0.so", (sys.executable,))):
        module = Module(path, command=command)
        with pytest.raises(ModuleFailed):
            module.call(ListTokens())
        module.close()
