"""Readers that a session's agent lends: used as this machine's own are, and believed in nothing else."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

import pytest

from cardd.apdu import Command
from cardd.errors import PcscUnavailable
from cardd.frames import Broken, framed, receive
from cardd.pcsc import PcscReaders
from cardd.pcsc.lending import FRAME_MAX, has_own_readers, lend
from cardd.pcsc.lent import (
    CONTEXTS_MAX,
    LENDERS_OF_USER_MAX,
    NEWS_AT_ONCE,
    NEWS_PAUSE,
    READERS_MAX,
    LentReaders,
    LentWinScard,
)
from cardd.pcsc.winscard import FOREVER, WinScard
from cardd.ports import Connection
from cardd.secret import Secret
from tests.pcsc.conftest import Insert
from tests.pcsc.recorder import Recorder
from tests.rig.pcscd import Pcscd
from tests.rig.vcard import CPS3_ATR
from tests.rig.waiting import eventually

ATR = CPS3_ATR.hex().upper()
VERIFY = Command(0x00, 0x20, 0x00, 0x01)
US, MARK = 1000, " (remote desktop 1)"


@contextmanager
def an_agent(answer: bytes | None = None) -> Iterator[socket.socket]:
    """The daemon's end of an agent's connection: one that lends, or gives the same answer to whatever is asked."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def parrot(link: socket.socket) -> None:
        with link:
            while receive(link, FRAME_MAX):
                link.sendall(answer or b"")

    def run() -> None:
        while True:
            told, descriptors, _, _ = socket.recv_fds(theirs, 1, 1)
            if not told:
                return
            link = socket.socket(fileno=descriptors[0])
            if answer is None:
                lend(link)
            else:
                threading.Thread(target=quietly, args=(link,), daemon=True).start()

    def quietly(link: socket.socket) -> None:
        with suppress(Broken, OSError):
            parrot(link)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield ours
    ours.close()
    theirs.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    theirs.close()


@pytest.fixture
async def lent(pcscd: Pcscd) -> AsyncIterator[LentReaders]:
    assert pcscd.pid
    readers = LentReaders(is_allowed=True)
    yield readers
    await readers.stop()


async def test_a_lent_reader_is_used_as_our_own_and_reset_when_its_agent_is_sent_away(
    lent: LentReaders, pcscd: Pcscd, insert: Insert
) -> None:
    card = await asyncio.to_thread(insert)
    recorder = Recorder(PcscReaders())
    await lent.start(recorder)
    first, second = (name + MARK for name in pcscd.reader_names)

    def log_in(connection: Connection) -> bytes:
        connection.begin()
        with Secret.of(b"1234") as pin:
            assert hasattr(connection, "transmit_secret")
            return bytes(connection.transmit_secret(VERIFY, pin).encode())

    with an_agent() as connection:
        loan = lent.lend(US, connection)
        assert loan is not None
        assert await recorder.take(3) == [("added", first), ("added", second), ("in", first, ATR)]
        assert await recorder.readers[first].run(log_in, timeout=5) == b"\x90\x00"
        assert card.apdus[-1] == VERIFY.header + b"\x041234"
        before = card.resets
        loan.close()
        assert await recorder.take(2) == [("removed", first), ("removed", second)]
        await eventually(lambda: card.resets > before)


async def test_a_card_that_is_pulled_from_a_lent_reader_is_told(
    lent: LentReaders, pcscd: Pcscd, insert: Insert
) -> None:
    recorder = Recorder(PcscReaders())
    with an_agent() as connection:
        lent.lend(US, connection)  # before the readers are watched
        await lent.start(recorder)
        await recorder.take(2)
        card = await asyncio.to_thread(insert)
        assert await recorder.take(1) == [("in", pcscd.reader_names[0] + MARK, ATR)]
        card.pull()
        assert await recorder.take(1) == [("out", pcscd.reader_names[0] + MARK)]


async def test_whose_readers_are_not_wanted_is_sent_away() -> None:
    refusing, taking = LentReaders(is_allowed=False), LentReaders(is_allowed=True)
    with an_agent() as connection:
        assert refusing.lend(US, connection) is None
        assert connection.fileno() < 0
    pairs = [socket.socketpair() for _ in range(LENDERS_OF_USER_MAX + 1)]
    assert [taking.lend(US, ours) is not None for ours, _ in pairs] == [True] * LENDERS_OF_USER_MAX + [False]
    await taking.stop()
    assert all(not theirs.recv(1) for _, theirs in pairs)
    for _, theirs in pairs:
        theirs.close()


@pytest.mark.parametrize(
    "answer",
    [
        framed(b"no JSON\n"),
        framed(b"[]\n"),
        framed(b'{"error": 7}\n'),
        framed(b'{"error": "no code"}\n'),
        framed(b"[" * 60_000),
        (FRAME_MAX + 1).to_bytes(4, "big"),
        b"",
    ],
    ids=["no-json", "a-list", "a-number", "no-code", "deep", "long", "silent"],
)
def test_an_agent_that_lies_is_no_service(answer: bytes) -> None:
    with an_agent(answer) as connection:
        winscard = LentWinScard(connection, MARK)
        if not answer:
            threading.Timer(0.1, winscard.leave).start()
        with pytest.raises(PcscUnavailable):
            winscard.establish()


def test_a_session_whose_pcsc_is_gone_is_told_what_to_do_there_and_not_to_start_pcscd() -> None:
    with an_agent(framed(b'{"error": "8010001D"}\n')) as connection, pytest.raises(PcscUnavailable) as caught:
        LentWinScard(connection, MARK).establish()
    assert caught.value.code == PcscUnavailable.code
    for language in ("fr", "en"):
        told = caught.value.told(language)
        assert "cardctl doctor lending" in told.remedy
        assert "pcscd" not in told.detail + told.remedy


async def test_who_lends_again_and_again_fills_no_log_and_hides_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "cardd.pcsc")
    lent = LentReaders(is_allowed=True)
    await lent.start(Recorder(PcscReaders()))
    for uid in [US] * LENDERS_OF_USER_MAX + [US + 1]:
        ours, theirs = socket.socketpair()
        assert lent.lend(uid, ours)
        theirs.close()  # it answers nothing, and comes again
        await eventually(lambda fileno=ours.fileno: fileno() < 0)  # type: ignore[misc]
    await lent.stop()
    told = [record.getMessage() for record in caplog.records]
    of_user = [[line for line in told if f"user {uid}'s session" in line] for uid in (US, US + 1)]
    assert [["are taken" in line for line in lines].count(True) for lines in of_user] == [1, 1]
    assert max(map(len, of_user)) <= 2, told
    assert not [line for line in told if "PC/SC is not available" in line]


def test_what_an_agent_says_of_readers_has_limits() -> None:
    names = '["' + '", "'.join(["x" * 129, "\u202eevil", "a\\nb", "", *(f"R{n}" for n in range(40))]) + '", 7]'
    with an_agent(framed(b'{"readers": %s, "handle": {}, "protocol": [], "states": [[1]]}\n' % names.encode())) as link:
        winscard = LentWinScard(link, MARK)
        context = winscard.establish()
        assert winscard.readers(context) == [f"R{n}{MARK}" for n in range(READERS_MAX)]
        with pytest.raises(PcscUnavailable):
            winscard.connect(context, f"R0{MARK}")
        with pytest.raises(PcscUnavailable):
            winscard.wait(context, [(f"R0{MARK}", 0)], FOREVER)
        winscard.leave()
        winscard.release(context)


def test_a_state_that_is_no_number_of_ours_is_no_state() -> None:
    with an_agent(framed(b'{"states": [["R0", Infinity, "3B00"]]}\n')) as link:
        winscard = LentWinScard(link, MARK)
        context = winscard.establish()
        with pytest.raises(PcscUnavailable):
            winscard.wait(context, [(f"R0{MARK}", 0)], FOREVER)
        winscard.leave()
        winscard.release(context)


def test_an_agent_with_news_all_the_time_is_asked_less_often_and_each_reader_counts_once() -> None:
    news = b", ".join(b'["R0", %d, "3B00"]' % (0x20 | count << 16) for count in range(2000))
    with an_agent(framed(b'{"states": [%s]}\n' % news)) as link:
        winscard = LentWinScard(link, MARK)
        context = winscard.establish()
        began = time.monotonic()
        for _ in range(NEWS_AT_ONCE + 1):
            states = winscard.wait(context, [(f"R0{MARK}", 0)], FOREVER) or []
            assert [state.event >> 16 for state in states] == [1999]
        assert time.monotonic() - began >= NEWS_PAUSE
        threading.Timer(0.05, winscard.leave).start()
        began = time.monotonic()
        for _ in range(NEWS_AT_ONCE):
            with pytest.raises(PcscUnavailable):
                winscard.wait(context, [], FOREVER)
        assert time.monotonic() - began < NEWS_AT_ONCE * NEWS_PAUSE / 4  # who leaves is not waited for
        winscard.release(context)


def test_an_agent_has_no_more_contexts_than_its_readers_need() -> None:
    with an_agent(framed(b"{}\n")) as link:
        winscard = LentWinScard(link, MARK)
        contexts = [winscard.establish() for _ in range(CONTEXTS_MAX)]
        with pytest.raises(PcscUnavailable):
            winscard.establish()
        winscard.release(contexts[0])
        contexts[0] = winscard.establish()
        for context in contexts:
            winscard.release(context)


@pytest.mark.parametrize("frame", [framed(b"{}\n"), framed(b'{"call": "run"}\n'), framed(b"x"), b"\xff\xff\xff\xff"])
def test_an_agent_hangs_up_on_what_is_no_call(pcscd: Pcscd, frame: bytes) -> None:
    assert pcscd.pid
    ours, theirs = socket.socketpair()
    lend(theirs)
    with ours:
        ours.sendall(frame)
        ours.settimeout(5)
        assert ours.recv(1) == b""


def test_a_wait_ends_when_the_daemon_leaves(pcscd: Pcscd) -> None:
    class Watched(WinScard):
        is_over = False

        def release(self, context: int) -> None:
            super().release(context)
            self.is_over = True

    ours, theirs = socket.socketpair()
    watched = Watched()
    lend(theirs, watched)
    name = pcscd.reader_names[0]
    with ours:
        ours.sendall(framed(b'{"call": "establish"}\n'))
        assert receive(ours, FRAME_MAX) == b"{}\n"
        ours.sendall(framed(b'{"call": "wait", "states": [["%s", 16]], "timeout": 4294967295}\n' % name.encode()))
    deadline = time.monotonic() + 5
    while not watched.is_over:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_only_a_session_with_a_socket_of_its_own_lends() -> None:
    own = "/run/user/1000/pcscd.comm"
    named = (None, "", "/run/pcscd/pcscd.comm", own)
    found = [has_own_readers({"PCSCLITE_CSOCK_NAME": one} if one is not None else {}) for one in named]
    assert found == [False, False, False, True]
