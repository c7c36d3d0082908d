"""The gate between a module's process and pcscd, as a program with libpcsclite meets it, and as a hostile one does."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cardd.errors import ReaderBusy
from cardd_drivers.pkcs11 import messages
from cardd_drivers.pkcs11.context import Limits
from cardd_drivers.pkcs11.gate import CONTEXTS_MAX, Gate
from tests.agent.test_agent_socket import no_further_file
from tests.integration.workstation import ROOT, wait_until
from tests.rig.here import use_here
from tests.rig.other_program import command, holding
from tests.rig.pcscd import Pcscd
from tests.rig.simulator import inserted, simulated_card

# one line in, one line out
PROGRAM = """
import sys
from smartcard import scard
_, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
card, state = 0, scard.SCARD_STATE_UNAWARE
for line in sys.stdin:
    what, *words = line.rstrip("\\n").split("|")
    match what:
        case "look":
            code, [(_, event, atr)] = scard.SCardGetStatusChange(context, int(words[1]), [(words[0], state)])
            state = event & ~scard.SCARD_STATE_CHANGED
            answer = (code & 0xFFFFFFFF, event & scard.SCARD_STATE_PRESENT, len(atr))
        case "connect":
            code, card, _ = scard.SCardConnect(context, words[0], int(words[1]), scard.SCARD_PROTOCOL_T0)
            answer = (code & 0xFFFFFFFF,)
        case "reconnect":
            code, _ = scard.SCardReconnect(card, scard.SCARD_SHARE_SHARED, scard.SCARD_PROTOCOL_T0, 0)
            answer = (code & 0xFFFFFFFF,)
        case "send":
            code, data = scard.SCardTransmit(card, scard.SCARD_PROTOCOL_T0, list(bytes.fromhex(words[0])))
            answer = (code & 0xFFFFFFFF, bytes(data[-2:]).hex())
        case "status":
            answer = (scard.SCardStatus(card)[0] & 0xFFFFFFFF,)
        case "features":
            answer = (scard.SCardControl(card, scard.SCARD_CTL_CODE(3400), [])[0] & 0xFFFFFFFF,)
        case "control":
            answer = (scard.SCardControl(card, scard.SCARD_CTL_CODE(1), [0])[0] & 0xFFFFFFFF,)
        case "reset":
            answer = (scard.SCardDisconnect(card, scard.SCARD_RESET_CARD) & 0xFFFFFFFF,)
        case "disconnect":
            answer = (scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD) & 0xFFFFFFFF,)
        case "begin":
            answer = (scard.SCardBeginTransaction(card) & 0xFFFFFFFF,)
        case "end":
            answer = (scard.SCardEndTransaction(card, scard.SCARD_LEAVE_CARD) & 0xFFFFFFFF,)
    print(*answer, flush=True)
"""
NO_CARD, RESET, TIMEOUT = 0x8010000C, 0x80100068, 0x8010000A
EXCLUSIVE, SHARED, DIRECT = 1, 2, 3
CHALLENGE = "0084000008"
EMPTY_VERIFY, VERIFY = "0020000100", "002000010431323334"


class Program:
    """A module's process, as far as the gate can tell."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, *words: object) -> list[str]:
        """Have it do one thing; return its answer."""
        self.ask(*words)
        return self.answer()

    def kill(self) -> None:
        self._process.kill()

    def ask(self, *words: object) -> None:
        assert self._process.stdin
        self._process.stdin.write("|".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def answer(self) -> list[str]:
        assert self._process.stdout
        return self._process.stdout.readline().split()


@contextmanager
def behind(gate: Gate) -> Iterator[Program]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **gate.environment},
        pass_fds=[gate.descriptor],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Program(process)


@pytest.fixture
def pcscd(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Pcscd]:
    pcscd = Pcscd(tmp_path, name=getattr(request, "param", "Virtual"))
    use_here(pcscd)
    pcscd.start()
    yield pcscd
    pcscd.stop()


@pytest.fixture
def gate(pcscd: Pcscd) -> Iterator[Gate]:
    gate = Gate(lambda: None)
    yield gate
    gate.close()


@contextmanager
def gate_within(limits: Limits) -> Iterator[Gate]:
    gate = Gate(lambda: None, limits)
    try:
        yield gate
    finally:
        gate.close()


def shown(gate: Gate, reader: str) -> None:
    gate.show(frozenset((reader,)))


def test_a_card_that_is_not_left_to_the_module_is_not_there(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    with inserted(simulated_card(), pcscd), behind(gate) as program:
        assert program("look", reader, 0) == ["0", "0", "0"]
        assert program("connect", reader, SHARED) == [str(NO_CARD)]
        assert program("connect", reader, DIRECT) == ["0"], "what the reader can do may be asked"
        assert program("reconnect") == [str(NO_CARD)]
        assert program("send", CHALLENGE)[0] == str(NO_CARD)
        assert gate.hides(reader)


def test_a_reader_that_is_not_left_to_the_module_is_not_held_by_it(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    card = simulated_card()
    with inserted(card, pcscd), behind(gate) as program:
        assert program("connect", reader, DIRECT) == ["0"]
        for step in ("begin", "end", "control"):
            assert program(step) == [str(NO_CARD)], step
        assert program("features") != [str(NO_CARD)]
        with holding(pcscd, reader, "connect"):  # the card stays powered
            resets = card.resets
            assert program("reset") == ["0"], "so it is told"
            with holding(pcscd, reader):
                assert card.resets == resets


@pytest.mark.parametrize("how", ["alone", "in a transaction"])
def test_what_the_module_held_of_a_reader_ends_when_it_is_left_to_it_no_more(
    pcscd: Pcscd, gate: Gate, how: str
) -> None:
    reader = pcscd.reader_names[0]
    shown(gate, reader)
    with inserted(simulated_card(), pcscd), behind(gate) as program:
        assert program("connect", reader, EXCLUSIVE if how == "alone" else SHARED) == ["0"]
        if how != "alone":
            assert program("begin") == ["0"]
        gate.show(frozenset())
        wait_until(lambda: program("status") != ["0"])
        with holding(pcscd, reader):
            assert program("begin") != ["0"]


def test_an_older_protocol_does_not_lead_past_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(lambda: None)
    with answering(tmp_path, monkeypatch, []), entered(gate) as client:
        client.sendall(agreeing(3))
        assert client.recv(64) == b""
    gate.close()


def test_a_process_agrees_on_a_protocol_once(pcscd: Pcscd, gate: Gate) -> None:
    with entered(gate) as client:
        client.sendall(agreeing(4))
        assert len(client.recv(64)) == 12
        client.sendall(agreeing(4))
        assert client.recv(64) == b""


def test_a_program_that_waits_learns_that_the_card_is_left_to_it(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    with inserted(simulated_card(), pcscd), behind(gate) as program:
        program("look", reader, 0)
        program.ask("look", reader, 10_000)
        time.sleep(0.2)  # it waits
        shown(gate, reader)
        code, present, atr = program.answer()
        assert (code, bool(int(present)), atr) == ("0", True, "17")
        assert program("connect", reader, SHARED) == ["0"]


def test_all_that_is_done_in_a_claim_is_one_transaction_and_ends_with_a_reset(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    shown(gate, reader)
    with inserted(simulated_card(), pcscd), behind(gate) as program, ThreadPoolExecutor() as threads:
        program("connect", reader, SHARED)
        gate.claim(reader)
        for step in (("begin",), ("send", VERIFY), ("end",)):
            assert program(*step)[0] == "0"
        other = threads.submit(subprocess.run, command("reset", reader), cwd=ROOT, check=True, timeout=20)
        time.sleep(0.5)  # it waits for its turn
        assert program("send", EMPTY_VERIFY) == ["0", "9000"], "still logged in, without a transaction of its own"
        assert not other.done()
        gate.release(reader, reset=True)
        other.result()
        assert program("send", EMPTY_VERIFY)[0] == str(RESET)
        program("reconnect")
        assert program("send", EMPTY_VERIFY) == ["0", "63c3"]


def test_a_connection_that_is_dropped_in_a_claim_leaves_the_card_to_nobody(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    shown(gate, reader)
    with inserted(simulated_card(), pcscd), behind(gate) as program, ThreadPoolExecutor() as threads:
        program("connect", reader, SHARED)
        gate.claim(reader)
        assert program("send", VERIFY) == ["0", "9000"]
        assert program("disconnect") == ["0"]
        other = threads.submit(subprocess.run, command("reset", reader), cwd=ROOT, check=True, timeout=20)
        time.sleep(0.5)  # it waits for its turn
        assert program("connect", reader, SHARED) == ["0"]
        assert program("send", EMPTY_VERIFY) == ["0", "9000"]
        assert not other.done()
        assert program("disconnect") == ["0"]
        gate.release(reader, reset=True)
        other.result()
        assert program("connect", reader, SHARED) == ["0"]
        assert program("send", EMPTY_VERIFY) == ["0", "63c3"]
        with holding(pcscd, reader):
            pass


@pytest.mark.parametrize(
    "pcscd", ["Lecteur SIMULATION [Smart Card Reader Interface] (20070818000000000)"], indirect=True
)
def test_a_reader_whose_name_pkcs11_cuts_is_claimed_all_the_same(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    cut = reader[:61] + "..."
    shown(gate, reader)
    with inserted(simulated_card(), pcscd), behind(gate) as program:
        program("look", reader, 0)
        program("connect", reader, SHARED)
        gate.claim(cut)
        assert program("send", VERIFY) == ["0", "9000"]
        assert gate.keeps(cut)
        assert not gate.hides(cut)
        gate.release(cut, reset=True)
        assert program("send", EMPTY_VERIFY)[0] == str(RESET)
        gate.show(frozenset())
        assert gate.hides(cut)


def test_a_claim_without_a_login_ends_without_a_reset(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    shown(gate, reader)
    with inserted(simulated_card(), pcscd), behind(gate) as program:
        program("connect", reader, SHARED)
        gate.claim(reader)
        assert program("send", CHALLENGE)[0] == "0"
        gate.release(reader, reset=False)
        with holding(pcscd, reader):
            pass
        assert program("send", CHALLENGE)[0] == "0"


def test_a_card_that_another_program_holds_is_told_busy(pcscd: Pcscd) -> None:
    reader = pcscd.reader_names[0]
    with inserted(simulated_card(), pcscd), gate_within(Limits(busy=0.3)) as gate, behind(gate) as program:
        shown(gate, reader)
        program("connect", reader, SHARED)
        with holding(pcscd, reader):
            with pytest.raises(ReaderBusy):
                gate.claim(reader)
            assert program("begin") == [str(TIMEOUT)], "the module's own call ends as well"
            assert gate.busy == {reader}
            gate.busy.clear()
            assert program("status") == [str(TIMEOUT)], "whatever it asks"
        gate.claim(reader)
        assert program("send", CHALLENGE)[0] == "0"


def test_a_program_that_is_killed_leaves_no_login(pcscd: Pcscd, gate: Gate) -> None:
    reader = pcscd.reader_names[0]
    shown(gate, reader)
    with inserted(simulated_card(), pcscd):
        with behind(gate) as program:
            program("connect", reader, SHARED)
            gate.claim(reader)
            assert program("send", VERIFY) == ["0", "9000"]
            program.kill()
        with behind(gate) as program:
            wait_until(lambda: program("connect", reader, SHARED) == ["0"])
            gate.release(reader, reset=False)
            assert program("send", EMPTY_VERIFY) == ["0", "63c3"]


@contextmanager
def answering(directory: Path, monkeypatch: pytest.MonkeyPatch, answers: Sequence[bytes]) -> Iterator[None]:
    """A pcscd that answers each message with one of these, and then sends back what it is sent."""
    path = directory / "pretended"

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            for answer in answers:
                client.recv(64)
                client.sendall(answer)
            while data := client.recv(4096):
                client.sendall(data)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(path))
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def entered(gate: Gate) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(gate.environment["PCSCLITE_CSOCK_NAME"])
    return client


def agreeing(minor: int) -> bytes:
    return struct.pack("=IIiiI", 12, messages.Command.VERSION, 4, minor, 0)


def test_a_protocol_of_the_future_passes_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(lambda: None)
    with answering(tmp_path, monkeypatch, [struct.pack("=iiI", 4, 9, 0)]), entered(gate) as client:
        client.sendall(agreeing(9))
        assert client.recv(64) == struct.pack("=iiI", 4, 9, 0)
        client.sendall(b"whatever it says")
        assert client.recv(64) == b"whatever it says"
    gate.close()


@pytest.mark.parametrize(
    "said",
    [
        struct.pack("=II", 0xFFFFFFFF, messages.Command.CONNECT),
        struct.pack("=II", 3, messages.Command.CONNECT) + b"abc",
        struct.pack("=II32x", 32, messages.Command.TRANSMIT)[:-20] + b"\xff" * 20,
        b"\0\0",
    ],
    ids=["a body without end", "a body too short", "data without end", "half a header"],
)
def test_a_process_that_says_what_cannot_be_is_hung_up_on(pcscd: Pcscd, said: bytes) -> None:
    with gate_within(Limits(message=0.2)) as gate:
        with entered(gate) as client:
            client.sendall(agreeing(4))
            assert len(client.recv(64)) == 12
            client.sendall(said)
            assert client.recv(64) == b""
        with behind(gate) as program:
            assert program("look", pcscd.reader_names[0], 0) == ["0", "0", "0"], "others are served"


def test_a_process_that_always_has_one_more_byte_is_hung_up_on(pcscd: Pcscd) -> None:
    with gate_within(Limits(message=0.5)) as gate, entered(gate) as client:
        client.sendall(agreeing(4))
        assert len(client.recv(64)) == 12
        client.sendall(struct.pack("=II", 4096, messages.Command.CONNECT))
        begun = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < begun + 10:
                client.sendall(b"x")
                time.sleep(0.05)
    assert time.monotonic() < begun + 5


def test_more_connections_than_a_module_has_are_hung_up_on(pcscd: Pcscd, gate: Gate) -> None:
    with ExitStack() as opened:
        for _ in range(CONTEXTS_MAX):
            client = opened.enter_context(entered(gate))
            client.sendall(agreeing(4))
            assert len(client.recv(64)) == 12
        assert opened.enter_context(entered(gate)).recv(1) == b""


def test_a_module_is_served_again_after_file_descriptors_ran_out(pcscd: Pcscd, gate: Gate) -> None:
    with ExitStack() as opened:
        clients = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(3)]
        with no_further_file():
            for client in clients:
                client.connect(gate.environment["PCSCLITE_CSOCK_NAME"])
        with behind(gate) as program:
            assert program("look", pcscd.reader_names[0], 0) == ["0", "0", "0"]


def state(name: str, flags: int) -> bytes:
    return messages.STATE.pack(name.encode(), 1, flags, 0, b"\x3b\x00", 2, 1)


def test_readers_without_a_fixed_number_are_shown_as_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Protocol 4:6 tells first how many readers there are."""
    answers = [struct.pack("=iiI", 4, 6, 0), struct.pack("=i", 2), state("left", 4) + state("ours", 4)]
    gate = Gate(lambda: None)
    shown(gate, "left")
    with answering(tmp_path, monkeypatch, answers), entered(gate) as client:
        client.sendall(agreeing(6))
        assert client.recv(64) == answers[0]
        client.sendall(struct.pack("=II", 0, messages.Command.STATES_SIZE))
        assert client.recv(64) == answers[1]
        client.sendall(struct.pack("=II", 0, messages.Command.STATES_ARRAY))
        told = client.recv(4096)
        assert told == state("left", 4) + messages.STATE.pack(b"ours", 0, messages.ABSENT, 0, b"", 0, 0)
    gate.close()
