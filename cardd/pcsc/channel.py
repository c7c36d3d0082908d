"""One reader slot: the thread that alone uses it, and the connection to its card, with transactions and APDUs.

cardd resets the card inside its own transaction, by SCardReconnect: pcsc-lite then tells every other program of the
reset and takes it off our own handle in one step. A reset found later is therefore always another program's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

from cardd.apdu import SHORT_MAX, Command, Protocol, Response, Transport, takes_extended_apdus
from cardd.driver import Card, Channel
from cardd.errors import (
    CarddError,
    CardMute,
    CardRemoved,
    CardReset,
    CardTimeout,
    PcscUnavailable,
    ReaderBusy,
    ReaderGone,
)
from cardd.model import PinInfo
from cardd.pcsc import pinpad
from cardd.pcsc.winscard import Disposition, EventState, Handle, WinScard
from cardd.ports import CardConnection
from cardd.secret import Secret
from cardd.worker import Worker

REMOVAL_NOTICED = 1000  # milliseconds within which pcscd sees a card leave; it looks every 400 where it has to poll
TRIES = 4  # to begin a transaction, with as many resets and swaps between

T = TypeVar("T")
Opener = Callable[[Channel], Card]
Holder = Callable[[], Mapping[str, str | int]]  # the params of ReaderBusy that tell who holds a card, where known


class PcscConnection:
    """``cardd.ports.Connection`` over PC/SC, used by the reader's thread alone; the contract tells each method.

    ``resets`` also grows when the connection had to be made anew: the card may then be another one. ``transmitted``
    counts the APDUs that really went out, GET RESPONSE included.
    """

    def __init__(self, reader: str, winscard: WinScard, language: str, opener: Opener) -> None:
        self._reader = reader
        self._winscard = winscard
        self._language = language
        self._opener = opener
        self._context: int | None = None
        self._handle: Handle | None = None
        self._extended = False
        self._features: dict[int, int] | None = None
        self._in_transaction = False
        self._connected_before = False
        self._allowed, self._deadline = 0.0, math.inf
        self.atr = b""
        self.epoch = 0
        self.resets = 0
        self.transmitted = 0
        self.is_waiting = False

    @property
    def protocol(self) -> Protocol:
        """Return T=0 or T=1, as agreed with the card in the reader."""
        return self._connected().protocol

    @property
    def has_pinpad(self) -> bool:
        """Return whether the reader takes the PIN on its own keypad; asked once, False while nothing is connected."""
        if self._features is None:
            with contextlib.suppress(CardRemoved, ReaderGone, PcscUnavailable):
                self._features = pinpad.features(self._control)
        return pinpad.VERIFY_PIN_DIRECT in (self._features or {})

    def open(self) -> Card:
        """Open the card with its driver."""
        return self._opener(self)

    def allow(self, seconds: float) -> None:
        """Send commands for so long from now on: even a card that answers each of them is given up then."""
        self._allowed, self._deadline = seconds, time.monotonic() + seconds

    def begin(self) -> None:
        """Begin a transaction, with a fresh connection when the old one's card or reader has gone."""
        self.is_waiting = True
        try:
            self._begin()
        finally:
            self.is_waiting = False
        self._in_transaction = True
        self.epoch += 1

    def end(self, *, reset: bool) -> None:
        """End the transaction; a card that cannot be reset is unpowered, which ends its login just as well."""
        if not self._in_transaction or self._handle is None:
            return
        try:
            if reset:
                self._handle = self._winscard.reconnect(self._handle, Disposition.RESET)
            self._winscard.end(self._handle)
        except CarddError as error:
            self._drop(Disposition.UNPOWER if reset else Disposition.RESET, error)
        self._in_transaction = False
        self.epoch += 1

    def disconnect(self) -> None:
        """Give up the card and the context; a transaction still open ends with a reset."""
        self._drop(Disposition.RESET if self._in_transaction else Disposition.LEAVE)
        self._release()

    def transmit(self, command: Command) -> Response:
        """Send one command and gather its whole answer."""
        transport = Transport(lambda raw: self._send(list(raw)), self._connected().protocol, extended=self._extended)
        return transport.send(command)

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """Send one short command whose body is the secret; such a command has no answer data to fetch."""
        size = len(secret)
        if not 0 < size <= SHORT_MAX:
            raise ValueError("a secret of one short APDU is meant")
        apdu = [*command.header, size, *bytes(size)]
        try:
            with secret.view() as view:
                for place, byte in enumerate(view, start=len(apdu) - size):
                    apdu[place] = byte
            return Response.decode(self._send(apdu))
        finally:
            for place in range(len(apdu)):
                apdu[place] = 0

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """Have the reader ask for the PIN and send ``command`` with it."""
        if not self.has_pinpad or self._features is None:
            raise ValueError("the reader has no keypad")
        structure = pinpad.verify_structure(command, pin, self._language)
        self.transmitted += 1
        return pinpad.read_answer(self._control(self._features[pinpad.VERIFY_PIN_DIRECT], list(structure)), pin)

    def _begin(self) -> None:
        for left in reversed(range(TRIES)):
            handle = self._handle or self._connect()
            try:
                self._winscard.begin(handle)
            except CarddError as error:
                self._renew(handle, error)
                if not left:
                    raise
            else:
                return

    def _renew(self, handle: Handle, error: CarddError) -> None:
        """Make the connection good again: after a reset, or because another card has taken the place of ours."""
        if isinstance(error, CardReset):
            self._acknowledge_reset(handle)
            return
        self._drop(Disposition.LEAVE, error)
        if isinstance(error, PcscUnavailable):
            raise error

    def _acknowledge_reset(self, handle: Handle) -> None:
        self.resets += 1
        try:
            self._handle = self._winscard.reconnect(handle, Disposition.LEAVE)
            self._know(self._handle)
        except CarddError as error:
            self._drop(Disposition.LEAVE, error)

    def _connect(self) -> Handle:
        if self._context is None:
            self._context = self._winscard.establish()
        try:
            self._handle = handle = self._winscard.connect(self._context, self._reader)
            self._know(handle)
        except CarddError as error:
            self._drop(Disposition.LEAVE, error)
            raise
        self.resets += self._connected_before
        self._connected_before = True
        return handle

    def _know(self, handle: Handle) -> None:
        self.atr = self._winscard.atr(handle)
        self._extended = takes_extended_apdus(self.atr)

    def _connected(self) -> Handle:
        if self._handle is None:
            raise CardRemoved(reader=self._reader)
        return self._handle

    def _send(self, apdu: list[int]) -> bytes:
        handle = self._connected()
        if time.monotonic() > self._deadline:
            raise CardTimeout(seconds=round(self._allowed))
        self.transmitted += 1
        try:
            answer = self._winscard.transmit(handle, apdu)
        except CardMute:
            self._raise_if_removed(handle)
            raise
        if len(answer) < 2:
            self._raise_if_removed(handle)
        return answer

    def _control(self, code: int, data: list[int]) -> bytes:
        return self._winscard.control(self._connected(), code, data)

    def _raise_if_removed(self, handle: Handle) -> None:
        """Wait, after a failed exchange, for the sensor's word: it may come after the failure. Raises CardRemoved."""
        states = self._winscard.wait(handle.context, [(self._reader, EventState.PRESENT)], REMOVAL_NOTICED)
        if any(not state.event & EventState.PRESENT for state in states or ()):
            raise CardRemoved(reader=self._reader)

    def _drop(self, disposition: Disposition, why: CarddError | None = None) -> None:
        if self._handle is not None:
            self._winscard.disconnect(self._handle, disposition)
        self._handle = None
        self._in_transaction = False
        if isinstance(why, PcscUnavailable):
            self._release()

    def _release(self) -> None:
        if self._context is not None:
            self._winscard.release(self._context)
            self._context = None


class PcscReader:
    """``cardd.ports.Reader`` over PC/SC: one reader slot."""

    def __init__(self, name: str, winscard: WinScard, language: str, opener: Opener, holder: Holder = dict) -> None:
        self.name = name
        self._holder = holder
        self._connection = PcscConnection(name, winscard, language, opener)
        self._worker = Worker(f"reader {name}", self._late)
        self._closed = False

    async def run(self, job: Callable[[CardConnection], T], *, timeout: float) -> T:
        """Run the job on the reader's thread, as the contract says.

        A job that passes its time while another program holds the card gets ReaderBusy instead of CardTimeout. A late
        job ends at its next command, and leaves the reader to others.
        """
        if self._closed:
            raise ReaderGone(reader=self.name)
        try:
            return await self._worker.run(partial(self._in_time, job, timeout), timeout=timeout)
        except ReaderBusy:
            raise ReaderBusy(reader=self.name, **await asyncio.to_thread(self._holder)) from None

    async def close(self, *, timeout: float = 2.0) -> None:
        """Give up the card and end the thread, after the jobs that wait. A job that hangs is left behind."""
        self._closed = True
        await self._worker.close(self._connection.disconnect, timeout=timeout)

    def _in_time(self, job: Callable[[CardConnection], T], timeout: float) -> T:
        self._connection.allow(timeout)
        return job(self._connection)

    def _late(self, timeout: float) -> CarddError:
        if self._connection.is_waiting:
            return ReaderBusy(reader=self.name)
        return CardTimeout(seconds=round(timeout))
