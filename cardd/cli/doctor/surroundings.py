"""What checks look at, and what several of them share: the configuration, one look at PC/SC, the way to the daemon.

Every path and clock has a place here, so that a test can put something broken there.
"""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

from cardd.client import CarddClient
from cardd.config import Config
from cardd.config.loading import load
from cardd.core.inserted_card import SESSIONLESS
from cardd.errors import CarddError, ConfigInvalid
from cardd.model import CardKind
from cardd.pcsc.winscard import EventState, ReaderState, WinScard
from cardd.sandbox import Offer, offer

T = TypeVar("T")

PCSC_LIMIT = 3.0  # seconds
STA_UNSYNC = 0x0040


def utc_now() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


def unit_properties() -> Mapping[str, str] | None:
    """Return what systemd says of the running service's network; None where no service runs, or no systemd."""
    command = ["systemctl", "show", "cardd.service", "-p", "ActiveState", "-p", "IPAddressAllow", "-p", "IPAddressDeny"]
    try:
        told = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, timeout=PCSC_LIMIT, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = {name: value for name, _, value in (line.partition("=") for line in told.splitlines())}
    return found if found.get("ActiveState") == "active" else None


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


@dataclass
class Surroundings:
    """This workstation. ``base`` is the daemon's address where the user gave one, ``language`` what it is to speak."""

    config_file: Path | None = None
    base: Path | str | None = None
    language: str = "fr"
    usb: Path = Path("/sys/bus/usb/devices")
    now: Callable[[], datetime] = utc_now
    synchronised: Callable[[], bool | None] = is_synchronised
    sandbox: Callable[[], Offer] = offer
    unit: Callable[[], Mapping[str, str] | None] = unit_properties
    _readers: asyncio.Task[list[ReaderState]] | None = None

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
        return CarddClient(self.base or self.config.listen.socket, language=self.language)

    async def readers(self) -> list[ReaderState]:
        """Return the reader slots as PC/SC has them, looked at once. Raises PcscUnavailable, TimeoutError."""
        if self._readers is None:
            self._readers = asyncio.ensure_future(in_time(_readers, PCSC_LIMIT))
        return await self._readers

    async def readers_or_skip(self) -> list[ReaderState]:
        """Return the reader slots where there are some. Raises Unknowable."""
        readers = await self.readers_of_pcscd()
        if not readers:
            raise Unknowable("no_reader")
        return readers

    async def readers_of_pcscd(self) -> list[ReaderState]:
        """Return the reader slots, none too. Raises Unknowable."""
        try:
            return await self.readers()
        except (CarddError, TimeoutError) as fault:
            is_needless = isinstance(fault, CarddError) and await self.has_other_readers()
            raise Unknowable("no_pcscd_needed" if is_needless else "no_pcscd") from None

    async def has_other_readers(self) -> bool:
        """Return whether the daemon has readers without pcscd: simulated ones, or those of modules."""
        try:
            async with self.daemon() as cardd:
                return bool(await cardd.readers())
        except CarddError:  # checks of their own tell of a daemon that does not answer
            return False

    async def usable_card(self) -> ReaderState:
        """Return the first reader that holds a card of a professional. Raises Unknowable."""
        for reader in await self.readers_or_skip():
            kind = kind_in(reader)
            if kind and is_usable(kind):
                return reader
        raise Unknowable("no_card")


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

    def run() -> None:
        try:
            tell = partial(_settle, answer.set_result, work())
        except Exception as fault:  # noqa: BLE001 - raised again where it is waited for
            tell = partial(_settle, answer.set_exception, fault)
        try:
            loop.call_soon_threadsafe(tell)
        except RuntimeError:  # nobody waits any more
            return

    def _settle(settle: Callable[[T], None] | Callable[[BaseException], None], value: object) -> None:
        if not answer.done():
            settle(value)  # type: ignore[arg-type] # the two belong together above

    threading.Thread(target=run, daemon=True, name="doctor").start()
    async with asyncio.timeout(seconds):
        return await answer


def _readers() -> list[ReaderState]:
    winscard = WinScard()
    context = winscard.establish()
    try:
        names = winscard.readers(context)
        return (winscard.wait(context, [(name, 0) for name in names], 0) or []) if names else []
    finally:
        winscard.release(context)
