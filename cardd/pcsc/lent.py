"""The daemon's end of lent readers: those of a remote desktop, which its session's agent lends for its own user alone.

The readers are watched and used as this machine's own are; only the PC/SC calls are done elsewhere
(``cardd.pcsc.lending``). Each context is a socket of its own, whose other end goes to the agent by its connection. An
agent is a program of a user's: what it answers has limits and is believed in nothing but what the card may say.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from cardd.apdu import Protocol
from cardd.backoff import Pace, Throttle
from cardd.errors import CarddError, LentReadersUnavailable, PcscUnavailable
from cardd.frames import PREFIX, Broken, receive
from cardd.pcsc.lending import FRAME_MAX, Json
from cardd.pcsc.readers import PcscReaders
from cardd.pcsc.winscard import FOREVER, PNP_READER, Disposition, Handle, ReaderState, WinScard, check
from cardd.ports import ReaderListener
from cardd.values import Record
from cardd.worker import Background

READERS_MAX = 8  # of one desktop
NAME_MAX = 128  # of PC/SC itself
ATR_MAX = 33
LENDERS_MAX, LENDERS_OF_USER_MAX = 64, 4
CONTEXTS_MAX = 2 * READERS_MAX + 2  # of one desktop: readers that were just taken away may still have theirs
ANSWER_LIMIT = 90.0  # seconds for one call; a keypad waits for 60
MARK = " (remote desktop "  # what stands behind a lent reader's own name, before the number of its desktop
SLACK = 5.0  # seconds beyond a wait's own time
NEWS_AT_ONCE = 20  # answers to waits; each more has to wait
NEWS_PAUSE = 0.5  # seconds in which one more is taken

log = logging.getLogger(__name__)


class LentWinScard(WinScard):
    """The PC/SC calls, done by the agent at the other end of ``lender``; ``mark`` ends the name of each reader."""

    def __init__(self, lender: socket.socket, mark: str) -> None:
        self._lender = lender
        self._mark = mark
        self._numbers = itertools.count(1)
        self._links: dict[int, socket.socket] = {}
        self._lock = threading.Lock()
        self._left = threading.Event()
        self._pace = Pace(NEWS_AT_ONCE, NEWS_PAUSE)

    def leave(self) -> None:
        """End every call under way: the agent has left, or is sent away."""
        with self._lock:
            self._left.set()
            self._lender.close()
            for link in self._links.values():
                _hang_up(link)

    def establish(self) -> int:
        """Begin a context. Raises LentReadersUnavailable, where there are too many of them too."""
        if len(self._links) >= CONTEXTS_MAX:  # whose calls this agent does not answer
            raise LentReadersUnavailable
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            context = next(self._numbers)
            try:
                socket.send_fds(self._lender, [b"."], [theirs.fileno()])
            except OSError:
                ours.close()
                raise LentReadersUnavailable from None
            self._links[context] = ours
        try:
            self._ask(context, {"call": "establish"})
        except LentReadersUnavailable:
            self.release(context)
            raise
        return context

    def release(self, context: int) -> None:
        """End the context."""
        with self._lock:
            if link := self._links.pop(context, None):
                link.close()

    def cancel(self, context: int) -> None:
        """End the wait of another thread, and the context with it."""
        with self._lock:
            if link := self._links.get(context):
                _hang_up(link)

    def readers(self, context: int) -> list[str]:
        """List the readers, as many as one desktop may lend, under names of their own."""
        told, _ = self._ask(context, {"call": "readers"})
        names = [name for name in _items(told, "readers") if _is_name(name)]
        return [f"{name}{self._mark}" for name in names[:READERS_MAX]]

    def wait(self, context: int, states: Sequence[tuple[str, int]], timeout: int) -> list[ReaderState] | None:
        """Wait as WinScard does; who has news all the time is asked less often, and of a reader the last counts."""
        self._left.wait(self._pace.pause())
        asked = [(self._theirs(name), state) for name, state in states]
        limit = None if timeout == FOREVER else timeout / 1000 + SLACK
        told, _ = self._ask(context, {"call": "wait", "states": asked, "timeout": timeout}, limit)
        if told.get("states") is None:
            return None
        names = {theirs: ours for (theirs, _), (ours, _) in zip(asked, states, strict=True)}
        with _understood():
            found = {name: (int(event), bytes.fromhex(atr)) for name, event, atr in _items(told, "states")}
            return [ReaderState(names[name], event & 0xFFFFFFFF, atr[:ATR_MAX]) for name, (event, atr) in found.items()]

    def connect(self, context: int, reader: str) -> Handle:
        """Connect to the card in the reader."""
        told, _ = self._ask(context, {"call": "connect", "reader": self._theirs(reader)}, reader=reader)
        with _understood():
            return Handle(context, int(str(told["handle"])), reader, Protocol(told["protocol"]))

    def reconnect(self, handle: Handle, disposition: Disposition) -> Handle:
        """Acknowledge another's reset, or reset the card."""
        told, _ = self._ask_card(handle, "reconnect", {"disposition": int(disposition)})
        with _understood():
            return Handle(handle.context, handle.number, handle.reader, Protocol(told["protocol"]))

    def disconnect(self, handle: Handle, disposition: Disposition) -> None:
        """Give the card up. Never raises."""
        with contextlib.suppress(CarddError):
            self._ask_card(handle, "disconnect", {"disposition": int(disposition)})

    def begin(self, handle: Handle) -> None:
        """Begin a transaction."""
        self._ask_card(handle, "begin")

    def end(self, handle: Handle) -> None:
        """End the transaction."""
        self._ask_card(handle, "end")

    def atr(self, handle: Handle) -> bytes:
        """Ask for the card's answer to reset."""
        return self._ask_card(handle, "atr")[1][:ATR_MAX]

    def transmit(self, handle: Handle, apdu: list[int]) -> bytes:
        """Send one APDU."""
        return self._ask_card(handle, "transmit", data=apdu)[1]

    def control(self, handle: Handle, control_code: int, data: list[int]) -> bytes:
        """Send a command to the reader itself."""
        return self._ask_card(handle, "control", {"code": control_code}, data=data)[1]

    def _theirs(self, name: str) -> str:
        return name if name == PNP_READER else name.removesuffix(self._mark)

    def _ask_card(
        self, handle: Handle, call: str, more: Json | None = None, *, data: Sequence[int] = ()
    ) -> tuple[Json, bytes]:
        about = {"call": call, "handle": handle.number, **(more or {})}
        return self._ask(handle.context, about, data=data, reader=handle.reader)

    def _ask(
        self,
        context: int,
        about: Json,
        limit: float | None = ANSWER_LIMIT,
        *,
        data: Sequence[int] = (),
        reader: str = "",
    ) -> tuple[Json, bytes]:
        """Have a call done; return what it told, and the bytes that it brought. Raises what the call raises."""
        link = self._links.get(context)
        if link is None or self._left.is_set():
            raise LentReadersUnavailable
        frame = _framed(json.dumps(about).encode(), data)
        try:
            link.settimeout(limit)
            link.sendall(frame)
            answer = receive(link, FRAME_MAX, None if limit is None else time.monotonic() + limit)
            line, _, brought = answer.partition(b"\n")
            told = json.loads(line)
            code = int(told.get("error", "0"), 16)
        except (OSError, Broken, ValueError, TypeError, AttributeError, RecursionError):
            _hang_up(link)
            raise LentReadersUnavailable from None
        finally:
            frame[:] = bytes(len(frame))
        try:
            check(code, reader)
        except PcscUnavailable:
            raise LentReadersUnavailable from None
        return told, brought


def _framed(line: bytes, data: Sequence[int]) -> bytearray:
    """Return the frame, byte by byte: what is sent may have a PIN in it, and no copy of it is left anywhere."""
    size = len(line) + 1 + len(data)
    frame = bytearray(PREFIX + size)
    frame[:PREFIX] = size.to_bytes(PREFIX, "big")
    frame[PREFIX : PREFIX + len(line) + 1] = line + b"\n"
    for place, byte in enumerate(data, start=PREFIX + len(line) + 1):
        frame[place] = byte
    return frame


def _hang_up(link: socket.socket) -> None:
    """End what any thread waits for here; whoever uses it closes it."""
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def _understood() -> Iterator[None]:
    """Raises LentReadersUnavailable for an answer that is none."""
    try:
        yield
    except (KeyError, ValueError, TypeError, OverflowError):  # the last of a number without end, which JSON may have
        raise LentReadersUnavailable from None


def _items(told: Json, name: str) -> list[Any]:
    found = told.get(name)
    return found if isinstance(found, list) else []


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= NAME_MAX and name.isascii() and name.isprintable()


class Lender(Record, eq=False):
    """One desktop's agent that lends; ``end`` tells what has gone, and sends it away."""

    uid: int
    number: int
    connection: socket.socket
    winscard: LentWinScard
    readers: PcscReaders
    end: Callable[[Lender], None]

    def close(self) -> None:
        """Take nothing from it any more."""
        self.end(self)


class LentReaders:
    """``cardd.ports.ReaderSource`` of what agents lend; ``is_allowed`` says whether any may.

    ``language`` is for readers' keypads.
    """

    def __init__(self, *, is_allowed: bool, language: str = "fr") -> None:
        self._is_allowed = is_allowed
        self._language = language
        self._listener: ReaderListener | None = None
        self._lenders: dict[int, Lender] = {}
        self._taken: dict[int, Throttle] = {}  # by user, of whom this machine has few
        self._silent: dict[int, Throttle] = {}
        self._background = Background()
        untaken = "a session's readers were not taken: access.lent_readers, or too many (%d times)"
        self._untaken = Throttle(partial(log.warning, untaken))

    async def start(self, listener: ReaderListener) -> None:
        """Watch what is lent, and what will be."""
        self._listener = listener
        for lender in list(self._lenders.values()):
            await lender.readers.start(listener)

    async def stop(self) -> None:
        """Give every card back, and send the agents away."""
        self._listener = None
        lenders = list(self._lenders.values())
        await asyncio.gather(*(lender.readers.stop() for lender in lenders))
        for lender in lenders:
            lender.close()
        await self._background.settle()

    def lend(self, uid: int, connection: socket.socket) -> Lender | None:
        """Take the readers of the agent at the other end; None where it lends none, and is sent away."""
        of_user = Counter(lender.uid for lender in self._lenders.values())[uid]
        if not self._is_allowed or len(self._lenders) >= LENDERS_MAX or of_user >= LENDERS_OF_USER_MAX:
            self._untaken.note()
            connection.close()
            return None
        number = next(number for number in itertools.count(1) if number not in self._lenders)
        winscard = LentWinScard(connection, f"{MARK}{number})")
        told = "PC/SC of user %d's session does not answer (%d times)"
        silent = self._silent.setdefault(uid, Throttle(partial(log.info, told, uid)))
        readers = PcscReaders(language=self._language, winscard=winscard, user=uid, missed=lambda _error: silent.note())
        lender = self._lenders[number] = Lender(uid, number, connection, winscard, readers, self._end)
        # it says nothing of its own accord: whatever comes, its leaving included, ends it
        asyncio.get_running_loop().add_reader(connection, lender.close)
        if self._listener:
            self._background.start(readers.start(self._listener))
        self._taken.setdefault(uid, Throttle(partial(self._say_taken, uid))).note()
        return lender

    def _say_taken(self, uid: int, times: int) -> None:
        numbers = ", ".join(str(number) for number, lender in self._lenders.items() if lender.uid == uid)
        told = "the readers of user %d's session are taken, as those of remote desktop %s (%d times)"
        log.info(told, uid, numbers, times)

    def _end(self, lender: Lender) -> None:
        """Rule 7: its cards have left, and their sessions end, before anything else happens."""
        if lender.connection.fileno() < 0:  # it has ended already
            return
        asyncio.get_running_loop().remove_reader(lender.connection)
        lender.readers.forsake()
        lender.winscard.leave()
        self._background.start(self._ended(lender))

    async def _ended(self, lender: Lender) -> None:
        """Let its threads end, then let another have its number."""
        await lender.readers.stop()
        self._lenders.pop(lender.number, None)
