"""The PC/SC calls that cardd uses, typed: the only module that touches pyscard.

Only the low-level ``smartcard.scard`` is used, and loaded at the first call. Every failure is a class of
``cardd.errors``. Each call blocks its thread without holding the interpreter lock; a context serves one thread
(pcsc-lite's own rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from types import ModuleType

from cardd.apdu import Protocol
from cardd.errors import (
    CarddError,
    CardGarbled,
    CardMute,
    CardRemoved,
    CardReset,
    InternalError,
    PcscUnavailable,
    ReaderBusy,
    ReaderGone,
)
from cardd.values import Value, replace

FOREVER = 0xFFFFFFFF  # milliseconds, as SCardGetStatusChange writes "no limit"
PNP_READER = "\\\\?PnP?\\Notification"  # the name that stands for the list of readers itself

_SYSTEM = 2
_SHARED = 2
_T0, _T1 = 1, 2
_SUCCESS, _CANCELLED, _TIMEOUT, _NO_READERS = 0, 0x80100002, 0x8010000A, 0x8010002E

_ERRORS: dict[int, type[CarddError]] = {
    0x80100003: ReaderGone,  # INVALID_HANDLE: pcscd forgot the handle together with its reader
    0x80100009: ReaderGone,  # UNKNOWN_READER
    0x80100011: ReaderGone,  # INVALID_VALUE: what a handle of an unplugged reader gets
    0x80100017: ReaderGone,  # READER_UNAVAILABLE
    0x8010000B: ReaderBusy,  # SHARING_VIOLATION
    0x8010000C: CardRemoved,  # NO_SMARTCARD
    0x80100069: CardRemoved,  # REMOVED_CARD
    0x80100068: CardReset,  # RESET_CARD
    0x8010000D: CardMute,  # UNKNOWN_CARD
    0x8010000F: CardMute,  # PROTO_MISMATCH: it speaks neither T=0 nor T=1
    0x80100010: CardMute,  # NOT_READY
    0x80100015: CardMute,  # INVALID_ATR
    0x80100016: CardMute,  # NOT_TRANSACTED: the exchange failed
    0x8010002F: CardMute,  # COMM_DATA_LOST
    0x80100065: CardMute,  # UNSUPPORTED_CARD
    0x80100066: CardMute,  # UNRESPONSIVE_CARD
    0x80100067: CardMute,  # UNPOWERED_CARD
    0x80100008: CardGarbled,  # INSUFFICIENT_BUFFER: an answer longer than any APDU
    0x80100006: PcscUnavailable,  # NO_MEMORY: no more contexts
    0x80100007: PcscUnavailable,  # WAITED_TOO_LONG
    0x80100013: PcscUnavailable,  # COMM_ERROR: pcscd closed the connection
    0x8010001D: PcscUnavailable,  # NO_SERVICE
    0x8010001E: PcscUnavailable,  # SERVICE_STOPPED
    0x80100031: PcscUnavailable,  # SERVER_TOO_BUSY
    0x8010006A: PcscUnavailable,  # SECURITY_VIOLATION: polkit refuses this user
}


class Disposition(IntEnum):
    """What becomes of the card when a connection is renewed or ends."""

    LEAVE = 0
    RESET = 1
    UNPOWER = 2


class EventState:
    """The bits of a reader's event state; its high word counts insertions and removals."""

    UNKNOWN = 0x0004
    UNAVAILABLE = 0x0008
    EMPTY = 0x0010
    PRESENT = 0x0020
    MUTE = 0x0200


class ReaderState(Value):
    """One reader as SCardGetStatusChange tells it: its event state and the card's ATR, if any."""

    name: str
    event: int
    atr: bytes


class Handle(Value):
    """One connection to a card, with the protocol that was agreed on."""

    context: int
    number: int
    reader: str
    protocol: Protocol


class WinScard:
    """The PC/SC calls. Times are milliseconds. Without libpcsclite, each call raises PcscUnavailable."""

    def establish(self) -> int:
        """Open a context. Raises PcscUnavailable."""
        code, context = _scard().SCardEstablishContext(_SYSTEM)
        check(code)
        return int(context)

    def release(self, context: int) -> None:
        """Give the context up. Never raises."""
        _scard().SCardReleaseContext(context)

    def cancel(self, context: int) -> None:
        """End the ``wait`` of another thread; no effect before it waits or after. Never raises."""
        _scard().SCardCancel(context)

    def readers(self, context: int) -> list[str]:
        """List the reader slots. pyscard takes ASCII names only: a reader with another name cannot be used."""
        code, names = _scard().SCardListReaders(context, [])
        if code & 0xFFFFFFFF == _NO_READERS:
            return []
        check(code)
        return [name for name in names if name.isascii()]

    def wait(self, context: int, states: Sequence[tuple[str, int]], timeout: int) -> list[ReaderState] | None:
        """Wait until a reader is not as ``states`` says; None when cancelled or when the time is over."""
        code, found = _scard().SCardGetStatusChange(context, timeout, list(states))
        if code & 0xFFFFFFFF in (_CANCELLED, _TIMEOUT):
            return None
        check(code)
        return [ReaderState(name, event, bytes(atr)) for name, event, atr in found]

    def connect(self, context: int, reader: str) -> Handle:
        """Connect to the card in the reader, shared with other programs; waits while one has it for itself."""
        code, number, protocol = _scard().SCardConnect(context, reader, _SHARED, _T0 | _T1)
        check(code, reader)
        return Handle(context, int(number), reader, _protocol(protocol))

    def reconnect(self, handle: Handle, disposition: Disposition) -> Handle:
        """Acknowledge another's reset, or reset the card, and agree on the protocol anew; the number stays."""
        code, protocol = _scard().SCardReconnect(handle.number, _SHARED, _T0 | _T1, disposition)
        check(code, handle.reader)
        return replace(handle, protocol=_protocol(protocol))

    def disconnect(self, handle: Handle, disposition: Disposition) -> None:
        """Give the card up, with any transaction. Never raises."""
        _scard().SCardDisconnect(handle.number, disposition)

    def begin(self, handle: Handle) -> None:
        """Begin a transaction; waits while another program is in one."""
        check(_scard().SCardBeginTransaction(handle.number), handle.reader)

    def end(self, handle: Handle) -> None:
        """End the transaction and leave the card as it is."""
        check(_scard().SCardEndTransaction(handle.number, Disposition.LEAVE), handle.reader)

    def atr(self, handle: Handle) -> bytes:
        """Ask for the connected card's answer to reset."""
        code, _, _, _, atr = _scard().SCardStatus(handle.number)
        check(code, handle.reader)
        return bytes(atr)

    def transmit(self, handle: Handle, apdu: list[int]) -> bytes:
        """Send one APDU, a list of integers: pyscard wants such a list, and the caller can overwrite it."""
        pci = _T0 if handle.protocol is Protocol.T0 else _T1
        code, answer = _scard().SCardTransmit(handle.number, pci, apdu)
        if code:
            check(code, handle.reader)
        return bytes(answer)

    def control(self, handle: Handle, control_code: int, data: list[int]) -> bytes:
        """Send a command to the reader itself."""
        code, answer = _scard().SCardControl(handle.number, control_code, data)
        check(code, handle.reader)
        return bytes(answer)


@cache
def _scard() -> ModuleType:
    try:
        import smartcard.scard as module  # noqa: PLC0415 - 10 ms that the daemon's start need not wait for
    except ImportError as missing:
        raise PcscUnavailable(why=str(missing)) from missing
    loaded: ModuleType = module
    return loaded


def check(code: int, reader: str = "") -> None:
    """Raise the error that this return code stands for, if it is one."""
    code &= 0xFFFFFFFF
    if code == _SUCCESS:
        return
    error = _ERRORS.get(code, InternalError)
    told = {"reader": reader} if reader else {}
    raise error.received(pcsc=f"{code:08X}", **told)


def _protocol(value: int) -> Protocol:
    return Protocol.T0 if value == _T0 else Protocol.T1
