"""What checks look at, and what several of them share: the configuration, one look at PC/SC, the way to the daemon.

Every path and clock has a place here, so that a test can put something broken there. Checks run on threads: what they
share is found out once, by whoever asks first.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import subprocess
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from cardd.client import CarddClient
from cardd.config import Config
from cardd.config.loading import load
from cardd.core.inserted_card import SESSIONLESS
from cardd.errors import CarddError, ConfigInvalid, DaemonUnreachable, Forbidden
from cardd.model import CardCertificate, CardKind
from cardd.pcsc.channel import PcscReader
from cardd.pcsc.winscard import EventState, ReaderState, WinScard
from cardd.ports import Connection
from cardd.sandbox import Offer, offer
from cardd.system.pcsc_clients import holder
from cardd.system.peer import processes
from cardd.values import Record, Value, field

T = TypeVar("T")

PCSC_LIMIT = 2.5  # seconds
ANSWER_LIMIT = 2.5  # seconds, for the daemon
# of a unit of systemd's
PROPERTIES = (
    *("LoadState", "ActiveState", "NRestarts", "ExecMainStartTimestampMonotonic"),
    *("IPAddressAllow", "IPAddressDeny", "RestrictAddressFamilies"),
)
HELD_LIMIT = 2.0  # seconds for which another program may hold the card
READ_LIMIT = 25.0  # seconds for some thirty commands
CLOSE_LIMIT = 0.2  # seconds; what waits for a card that another program holds is left behind
PCSCD = ("usr/sbin/pcscd", "usr/bin/pcscd")
STA_UNSYNC = 0x0040


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def unit_properties(service: str) -> Mapping[str, str] | None:
    """Return what systemd says of a service, and, as ``SocketState``, how its socket is.

    None where the service is not installed, or there is no systemd.
    """
    units = (f"{service}.service", f"{service}.socket")
    command = ["systemctl", "show", *units, *(f"--property={name}" for name in PROPERTIES)]
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=PCSC_LIMIT, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    own, _, listening = told.strip().partition("\n\n")
    found = _properties(own)
    if found.get("LoadState", "not-found") == "not-found":
        return None
    return {**found, "SocketState": _properties(listening).get("ActiveState", "")}


def _properties(told: str) -> dict[str, str]:
    """Return what ``systemctl show`` says of one unit."""
    return {name: value for name, _, value in (line.partition("=") for line in told.splitlines())}


class Forbidding(Value):
    """A line of the kernel's about what it forbade, and when it came, in microseconds since boot."""

    line: str
    at: int


def kernel_log() -> list[Forbidding] | None:
    """Return what the kernel said of what it forbade, since it started; None where this user may not read it."""
    from msgspec import DecodeError, json  # noqa: PLC0415 - for one check

    # by its own log, or by audit, which keeps it from there
    sources = ("_TRANSPORT=kernel", "+", "_TRANSPORT=audit")
    command = [
        "journalctl",
        "-b",
        *sources,
        "--no-pager",
        "-o",
        "json",
        "--output-fields=MESSAGE",
        "-g",
        'apparmor="DENIED"|avc: +denied',
    ]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=PCSC_LIMIT, check=False)  # noqa: S603 - a fixed command
    except (OSError, subprocess.SubprocessError):
        return None
    if told.stderr.strip():  # it says there what it may not show
        return None
    found = []
    for line in told.stdout.splitlines():
        with contextlib.suppress(DecodeError, KeyError, ValueError):
            entry = json.decode(line, type=dict[str, object])
            found.append(Forbidding(str(entry["MESSAGE"]), int(str(entry["__MONOTONIC_TIMESTAMP"]))))
    return found


class Unknowable(Exception):
    """Raised by a check that cannot be made: ``reason`` names a sentence that several checks share."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Timex(ctypes.Structure):
    """The beginning of ``struct timex``; the rest is room for what the kernel writes. Source: adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def is_synchronised() -> bool | None:
    """Return whether some time service keeps the clock right; None when the kernel does not say."""
    timex = _Timex()  # modes 0: only read
    if ctypes.CDLL(None).adjtimex(ctypes.byref(timex)) < 0:
        return None
    return not timex.status & STA_UNSYNC


class Once(Generic[T]):
    """What several checks want to know: found out on a thread of its own, when it is first asked for."""

    def __init__(self, find: Callable[[], T]) -> None:
        self._find = find
        self._lock = threading.Lock()
        self._found: Future[T] | None = None

    def get(self, seconds: float) -> T:
        """Return it, or raise what was raised. Raises TimeoutError after so many seconds."""
        with self._lock:
            if self._found is None:
                self._found = Future()
                threading.Thread(target=settle, args=(self._find, self._found), daemon=True, name="doctor").start()
        return self._found.result(seconds)


class Surroundings(Record, dict=True):
    """This workstation. ``base`` is the daemon's address where the user gave one, ``language`` what it is to speak."""

    config_file: Path | None = None
    base: Path | str | None = None
    language: str = "fr"
    root: Path = Path("/")
    usb: Path = Path("/sys/bus/usb/devices")
    usual: Config = field(default_factory=Config)
    now: Callable[[], datetime] = utc_now
    synchronised: Callable[[], bool | None] = is_synchronised
    sandbox: Callable[[], Offer] = offer
    unit: Callable[[str], Mapping[str, str] | None] = unit_properties
    kernel_log: Callable[[], list[Forbidding] | None] = kernel_log
    processes: Callable[[], list[int]] = processes
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def __post_init__(self) -> None:
        """Begin with nothing looked at."""
        self._readers = Once(_readers)
        self._other_readers = Once(self._has_other_readers)
        self._taken = Once(lambda: asyncio.run(self._run(_take_and_leave, HELD_LIMIT)))
        self._certificates = Once(self._read_certificates)

    @cached_property
    def config(self) -> Config:
        """The configuration; the defaults when it cannot be used, which a check of its own tells."""
        try:
            return load(self.config_file)
        except ConfigInvalid:
            return Config()

    @property
    def socket(self) -> Path:
        """The Unix socket of the daemon."""
        return self.base if isinstance(self.base, Path) else self.config.listen.socket

    def daemon(self) -> CarddClient:
        """Return a client of the daemon, as the user sees it."""
        return CarddClient(self.base or self.config.listen.socket, language=self.language, answer_limit=ANSWER_LIMIT)

    def ask(self, question: Callable[[CarddClient], Coroutine[None, None, T]]) -> T:
        """Return what the daemon answers. Raises Unknowable where it does not, or tells it on its socket only."""

        async def asked() -> T:
            async with self.daemon() as cardd:
                return await question(cardd)

        try:
            return asyncio.run(asked())
        except DaemonUnreachable:
            raise Unknowable("no_daemon") from None
        except Forbidden:
            raise Unknowable("no_socket") from None

    def readers(self) -> list[ReaderState]:
        """Return the reader slots as PC/SC has them, looked at once. Raises PcscUnavailable, TimeoutError."""
        return self._readers.get(PCSC_LIMIT)

    def readers_or_skip(self) -> list[ReaderState]:
        """Return the reader slots where there are some. Raises Unknowable."""
        readers = self.readers_of_pcscd()
        if not readers:
            raise Unknowable("no_reader")
        return readers

    def readers_of_pcscd(self) -> list[ReaderState]:
        """Return the reader slots, none too. Raises Unknowable."""
        try:
            return self.readers()
        except (CarddError, TimeoutError) as fault:
            is_needless = isinstance(fault, CarddError) and not self.needs_pcscd()
            raise Unknowable("no_pcscd_needed" if is_needless else "no_pcscd") from None

    def needs_pcscd(self) -> bool:
        """Return whether somebody misses pcscd, which does not answer.

        Nobody does where the daemon has readers without it (modules, key files, simulated ones), or where logins are by
        e-CPS or the organisation's certificate and pcscd was not installed.
        """
        csa = self.config.csa
        has_others = self.config.psc.is_configured or csa.authentication or csa.signature
        if has_others and not any((self.root / file).exists() for file in PCSCD):
            return False
        return not self._other_readers.get(ANSWER_LIMIT)

    def _has_other_readers(self) -> bool:
        try:
            return bool(self.ask(CarddClient.readers))
        except (CarddError, Unknowable):  # checks of their own tell of a daemon that does not answer
            return False

    def usable_card(self) -> ReaderState:
        """Return the first reader that holds a card of a professional. Raises Unknowable."""
        for reader in self.readers_or_skip():
            kind = kind_in(reader)
            if kind and is_usable(kind):
                return reader
        raise Unknowable("no_card")

    def take_card(self) -> None:
        """Have the card for a moment. Raises ReaderBusy where another program keeps it for itself, and Unknowable."""
        self._taken.get(READ_LIMIT)

    def certificates(self) -> Sequence[CardCertificate]:
        """Return what the card holds, read once and beside whoever else uses it. Raises as ``take_card``."""
        return self._certificates.get(READ_LIMIT)

    def _read_certificates(self) -> Sequence[CardCertificate]:
        self.take_card()
        return asyncio.run(self._run(_certificates, READ_LIMIT))

    async def _run(self, job: Callable[[Connection], T], seconds: float) -> T:
        from cardd.core.readers import DriverRegistry  # noqa: PLC0415 - loads every driver

        reader = PcscReader(self.usable_card().name, WinScard(), self.language, DriverRegistry().open, holder)
        try:
            return await reader.run(job, timeout=seconds)
        finally:
            await reader.close(timeout=CLOSE_LIMIT)


def is_usable(kind: CardKind) -> bool:
    """Return whether a session can be opened with such a card."""
    return kind is not CardKind.UNKNOWN and kind not in SESSIONLESS


def kind_in(reader: ReaderState) -> CardKind | None:
    """Return the kind of the card in the reader, UNKNOWN for a mute one; None when it is empty."""
    from cardd.core.readers import DriverRegistry  # noqa: PLC0415 - loads every driver

    if not reader.event & EventState.PRESENT:
        return None
    return DriverRegistry().recognise(reader.atr) if reader.atr else CardKind.UNKNOWN


async def in_time(work: Callable[[], T], seconds: float) -> T:
    """Run blocking work on a thread that may be left behind when it hangs. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def tell(found: Future[T]) -> None:
        with contextlib.suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(_pass_on, found, answer)

    found: Future[T] = Future()
    found.add_done_callback(tell)
    threading.Thread(target=settle, args=(work, found), daemon=True, name="doctor").start()
    async with asyncio.timeout(seconds):
        return await answer


def settle(work: Callable[[], T], found: Future[T]) -> None:
    """Do the work, and put what it returns or raises where it is waited for."""
    try:
        found.set_result(work())
    except Exception as fault:  # noqa: BLE001 - raised again where it is waited for
        found.set_exception(fault)


def _pass_on(found: Future[T], answer: asyncio.Future[T]) -> None:
    if answer.done():  # nobody waits any more
        return
    if fault := found.exception():
        answer.set_exception(fault)
    else:
        answer.set_result(found.result())


def _take_and_leave(connection: Connection) -> None:
    connection.begin()
    connection.end(reset=False)


def _certificates(connection: Connection) -> Sequence[CardCertificate]:
    connection.begin()
    try:
        return connection.open().certificates()
    finally:
        connection.end(reset=False)  # nothing was unlocked, and a login of the daemon's is not ours to end


def _readers() -> list[ReaderState]:
    winscard = WinScard()
    context = winscard.establish()
    try:
        names = winscard.readers(context)
        return (winscard.wait(context, [(name, 0) for name in names], 0) or []) if names else []
    finally:
        winscard.release(context)
