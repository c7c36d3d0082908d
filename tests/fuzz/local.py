"""What comes from this machine's terminal, kernel and service manager, and what other processes had in their hands."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import re
import socket
import struct
import termios
from contextlib import ExitStack, suppress
from typing import cast

from cardd.agent import terminal
from cardd.agent.arming import Arming
from cardd.agent.terminal import TerminalPrompter
from cardd.api.answers import Reply
from cardd.api.idempotency import Ledger
from cardd.errors import CarddError, InternalError, PinCancelled, PinFormat, ReaderBusy
from cardd.formats.sealed import CHUNK, SealedFile
from cardd.model import CallerKey, Choice, PinInfo, PinQuestion, Question
from cardd.secret import Secret
from cardd.system import pcsc_clients, peer, systemd
from tests.fuzz.parser import Parser
from tests.fuzz.talking import on_loop, turns

QUESTION = Question("login", os.getuid(), {"client": "LPS"}, "en", third=Choice.ALWAYS)
ASKED = PinQuestion(QUESTION, PinInfo(1, "PIN", 4, 8, 3), "Lecteur A", "cps3", 2)
SIMPLE = re.compile(rb"[ -~\n]*")  # what no terminal changes
CLIENT, SERVER = peer.End(b"\x7f\0\0\1", 40_000), peer.End(b"\x7f\0\0\1", 17_463)
OWNERS = 4


# --- the terminal


async def _terminal(data: bytes) -> None:
    """The first byte chooses the question; the rest is typed, and Enter until it is answered."""
    is_pin, typed = bool(data) and data[0] % 2 == 0, data[1:]
    ours, theirs = pty.openpty()
    before, known = termios.tcgetattr(theirs), terminal.TERMINAL
    terminal.TERMINAL = os.ttyname(theirs)
    os.set_blocking(ours, False)
    prompter = TerminalPrompter("en", Arming(0.0))
    try:
        with Secret() as pin:
            asking = asyncio.ensure_future(_answer(prompter, pin, is_pin=is_pin))
            shown = await _typed(ours, typed, asking)
            with suppress(CarddError):
                _judged(await asking, typed, shown)
        assert termios.tcgetattr(theirs) == before
    finally:
        terminal.TERMINAL = known
        os.close(ours)
        os.close(theirs)


async def _answer(prompter: TerminalPrompter, pin: Secret, *, is_pin: bool) -> bytes | Choice:
    return await _asked(prompter, pin) if is_pin else await prompter.confirm(QUESTION, lambda: 30)


async def _asked(prompter: TerminalPrompter, pin: Secret) -> bytes:
    """What was taken for the PIN; nothing of a test's is secret."""
    try:
        await prompter.ask_pin(ASKED, lambda: 30, pin)
    except (PinCancelled, PinFormat):
        assert not pin
        raise
    with pin.view() as view:
        return bytes(view)


async def _typed(ours: int, typed: bytes, asking: asyncio.Future[bytes | Choice]) -> bytes:
    """Type once the question is there; return what was shown."""
    await turns(4)
    shown = b""
    for piece in (*(typed[place : place + 512] for place in range(0, len(typed), 512)), *[b"\n"] * 64):
        if asking.done():
            break
        with suppress(BlockingIOError):
            os.write(ours, piece)
        await turns(4)
        with suppress(BlockingIOError):
            shown += os.read(ours, 65_536)
    if not asking.done():  # it was told to wait for what nobody types
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        raise PinCancelled
    return shown


def _judged(answer: bytes | Choice, typed: bytes, shown: bytes) -> None:
    lines = typed.split(b"\n")
    if isinstance(answer, bytes):
        assert re.fullmatch(rb"[0-9]{4,8}", answer)
        assert answer not in shown
        if SIMPLE.fullmatch(typed):
            assert answer in lines, (answer, lines)
    elif answer is not Choice.NO and SIMPLE.fullmatch(typed):
        assert lines[0][:1].lower() == {Choice.YES: b"y", Choice.ALWAYS: b"a"}[answer], (answer, lines)


# --- the kernel


def _sockets(data: bytes) -> None:
    """The kernel's list of Unix sockets, whose paths are their makers'."""
    for kind, content in pcsc_clients._messages(data):
        if kind == pcsc_clients.BY_FAMILY:
            assert 0 <= pcsc_clients._socket(content).uid <= 0xFFFFFFFF


def _owner(data: bytes) -> None:
    """The kernel's answer to whose a connection is: nobody's but of exactly these ends."""
    with suppress(OSError):
        found = peer._read_answer(data, CLIENT, SERVER)
        if found is not None:
            assert found.inode
            ports = (CLIENT.port.to_bytes(2), SERVER.port.to_bytes(2))
            assert data[peer._HEADER.size + peer._ANSWER.size :][:4] == b"".join(ports)


# --- the service manager


def _inherited(data: bytes) -> None:
    """The names of the sockets that it passes: each socket is for one of us, and for one alone."""
    names = data.decode("utf-8", "replace").split(":")[:8]
    with ExitStack() as opened:
        given = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in names]
        for one in given:
            one.bind("")  # a name by the kernel
            one.listen()
        found = systemd._sorted(given, names)
        sorted_out = [*found.tcp, *found.api, *found.agent, *found.p11, *(one for one, _ in found.programs)]
        assert sorted(one.fileno() for one in sorted_out) == sorted(one.fileno() for one in given)


# --- documents that others had


def _document(data: bytes) -> None:
    """Edits of a document's file by whoever has it: a place and a length in two bytes each, then the bytes."""
    content = b"SIMULATION" * (2 * CHUNK // 10 + 7)
    with cast(io.RawIOBase, SealedFile()) as raw:
        file = cast(SealedFile, raw)
        with io.BufferedRandom(raw) as document:
            document.write(content)
            document.flush()
            handle, rest = file.settle(), data
            while len(rest) > 4:
                place, size, rest = int.from_bytes(rest[:2]) * 3, int.from_bytes(rest[2:4]), rest[4:]
                os.pwrite(handle, rest[:size], place)
                rest = rest[size:]
            reader = SealedFile(os.dup(handle), file.cover())
            with suppress(OSError), io.BufferedReader(cast(io.RawIOBase, reader)) as again:
                assert again.read() == content


# --- requests that come again


async def _ledger(data: bytes) -> None:
    """Three bytes a request: whose and under which key, what, and how it ends; each is done once where it was done."""
    ledger, done = Ledger(answers_max=64, bytes_max=1 << 20), dict[tuple[int, int], bytes]()
    for place in range(0, min(len(data), 300) - 2, 3):
        who, what, how = data[place : place + 3]
        owner, key, request = CallerKey(who % OWNERS, "a"), f"key-{who >> 4}", bytes((what,))
        ran: list[bytes] = []

        async def work(how: int = how, ran: list[bytes] = ran) -> Reply:
            ran.append(b"")
            await asyncio.sleep(0)
            if how % 4 == 1:
                raise ReaderBusy(reader="A")
            if how % 4 == 2:
                raise InternalError
            return Reply(body=bytes((how,)))

        before = done.get((owner.uid, who >> 4))
        answered = False
        with suppress(CarddError):
            await ledger.once(owner, key, request, work)
            answered = True
        assert not (before and ran), "it was done twice"
        assert not (before not in (None, request) and answered), "another request has its answer"
        if ran and how % 4 != 1:
            done[owner.uid, who >> 4] = request
    await ledger.close()


PARSERS: dict[str, Parser] = {
    "terminal": Parser(on_loop(_terminal), ("cardd.agent.terminal",), longest=2048, words=(b"1234\n", b"y\n", b"a\n")),
    "sockets": Parser(_sockets, ("cardd.system.pcsc_clients",), (struct.error,)),
    "owner": Parser(_owner, ("cardd.system.peer",), (struct.error,)),
    "inherited": Parser(_inherited, ("cardd.system.systemd",), words=(b"agent", b"p11", b"program-", b":")),
    "document": Parser(_document, ("cardd.formats.sealed",)),
    "ledger": Parser(on_loop(_ledger), ("cardd.api.idempotency",)),
}
