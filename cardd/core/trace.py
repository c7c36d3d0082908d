"""What goes to the cards and what comes back, for support to watch while it happens; nothing of it is kept.

Whoever owns the readers may follow, and learns which command went to which reader, how long its data and its answer
were, the status word and the time that it took. The full trace has data and answers too: what stands in the card's
files, names its holder.
No trace has a code (rule 1): what is sent as a secret never comes by here, and the data of a command that presents or
sets a code is left out also where a driver sends it as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from cardd.apdu import Command, Protocol, Response
from cardd.core.events import EventBus, Subscription
from cardd.driver import Channel
from cardd.errors import CarddError
from cardd.model import CallerKey, Event, JsonValue, PinInfo
from cardd.ports import Clock
from cardd.secret import Secret
from cardd.worker import post

# ISO/IEC 7816-4, table 4, and 7816-8: those that cards of professionals are sent
INSTRUCTIONS = {
    0x20: "VERIFY",
    0x22: "MANAGE SECURITY ENVIRONMENT",
    0x24: "CHANGE REFERENCE DATA",
    0x2A: "PERFORM SECURITY OPERATION",
    0x2C: "RESET RETRY COUNTER",
    0x84: "GET CHALLENGE",
    0x88: "INTERNAL AUTHENTICATE",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB1: "READ BINARY",
    0xB2: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xCA: "GET DATA",
    0xCB: "GET DATA",
}
WITH_CODES = frozenset((0x20, 0x21, 0x24, 0x25, 0x2C, 0x2D))


class Trace:
    """Tells its followers, on the event loop; costs nothing while there are none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._short, self._full = EventBus(), EventBus()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_followed(self) -> bool:
        """Whether anybody watches; asked on the readers' threads."""
        return bool(self._short.listeners or self._full.listeners)

    @property
    def buses(self) -> tuple[EventBus, ...]:
        """Where its followers are subscribed."""
        return self._short, self._full

    def follow(self, caller: CallerKey, *, full: bool) -> Subscription:
        """Every exchange from now on, as events ``exchange``; for ``full`` see above."""
        self._loop = asyncio.get_running_loop()
        return (self._full if full else self._short).subscribe(caller)

    def exchanged(
        self, reader: str, command: Command, seconds: float, outcome: Response | str, *, begins: bool
    ) -> None:
        """Tell of one command; ``outcome`` is its response, or the code of the error. From a reader's thread.

        ``begins`` says that it is the first since a transaction began or the card was reset.
        """
        told: dict[str, JsonValue] = {
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "reader": reader,
            "begins": begins,
            "instruction": INSTRUCTIONS.get(command.ins, ""),
            "header": command.header.hex().upper(),
            "sent": len(command.data),
            "microseconds": round(seconds * 1e6),
        }
        data: dict[str, JsonValue] = {}
        if isinstance(outcome, Response):
            told |= {"received": len(outcome.data), "status": f"{outcome.sw:04X}"}
            data["answer"] = outcome.data.hex().upper()
        else:
            told["error"] = outcome
        if command.ins not in WITH_CODES:
            data["data"] = command.data.hex().upper()
        if self._loop:
            post(self._loop, partial(self._publish, told, data))

    def close(self) -> None:
        """End every trace: the daemon stops."""
        self._short.close()
        self._full.close()

    def _publish(self, told: dict[str, JsonValue], data: dict[str, JsonValue]) -> None:
        self._short.publish(Event("exchange", told))
        self._full.publish(Event("exchange", told | data))


class TracedChannel:
    """A card's channel that tells the trace of what goes through it."""

    def __init__(self, reader: str, channel: Channel, trace: Trace) -> None:
        self._reader = reader
        self._channel = channel
        self._trace = trace
        self._epoch = -1

    @property
    def atr(self) -> bytes:
        """The card's answer to reset."""
        return self._channel.atr

    @property
    def protocol(self) -> Protocol:
        """The transmission protocol that was negotiated."""
        return self._channel.protocol

    @property
    def epoch(self) -> int:
        """A number that grows when the card may have forgotten what it was told."""
        return self._channel.epoch

    @property
    def has_pinpad(self) -> bool:
        """Whether the PIN is typed on the reader."""
        return self._channel.has_pinpad

    def transmit(self, command: Command) -> Response:
        """Send one command, traced."""
        return self._traced(command, lambda: self._channel.transmit(command))

    def transmit_secret(self, command: Command, secret: Secret) -> Response:
        """Send one command with a secret body; the trace knows the command without it."""
        return self._traced(command, lambda: self._channel.transmit_secret(command, secret))

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """Have the reader's keypad complete the command; the trace knows it without what was typed."""
        return self._traced(command, lambda: self._channel.verify_on_pinpad(command, pin))

    def _traced(self, command: Command, send: Callable[[], Response]) -> Response:
        if not self._trace.is_followed:
            return send()
        began = time.perf_counter()
        try:
            response = send()
        except CarddError as error:
            self._tell(command, began, error.code)
            raise
        self._tell(command, began, response)
        return response

    def _tell(self, command: Command, began: float, outcome: Response | str) -> None:
        seconds = time.perf_counter() - began
        begins, self._epoch = self._epoch != self._channel.epoch, self._channel.epoch
        self._trace.exchanged(self._reader, command, seconds, outcome, begins=begins)
