"""What happens, step by step, for support to watch: commands to cards, dialogs, servers; nothing of it is kept.

Whoever owns the readers may follow, and learns which command went to which reader, how long its data and its answer
were, the status word and the time that it took; which dialog was shown, which server was asked, and where the seconds
of each request went. A masked trace has data and answers too, without what tells whose the card is (``masks.py``); the
full one has them as they are, and names the holder.
No trace has a code (rule 1): what is sent as a secret never comes by here, and the data of a command that presents or
sets a code is left out also where a driver sends it as any other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from cardd.apdu import Command, Protocol, Response
from cardd.core.events import EventBus, Subscription
from cardd.driver import Channel
from cardd.errors import CarddError
from cardd.model import CallerKey, Event, JsonValue, PinInfo
from cardd.ports import Clock
from cardd.request import Request, Step, Where, current, step
from cardd.secret import Secret
from cardd.values import Value
from cardd.worker import post

if TYPE_CHECKING:
    from cardd.core.masks import Masks

# ISO/IEC 7816-4, table 4, and 7816-8: those that cards of professionals are sent
INSTRUCTIONS = {
    0x0E: "ERASE BINARY",
    0x20: "VERIFY",
    0x21: "VERIFY",
    0x22: "MANAGE SECURITY ENVIRONMENT",
    0x24: "CHANGE REFERENCE DATA",
    0x25: "CHANGE REFERENCE DATA",
    0x26: "DISABLE VERIFICATION",
    0x28: "ENABLE VERIFICATION",
    0x2A: "PERFORM SECURITY OPERATION",
    0x2C: "RESET RETRY COUNTER",
    0x2D: "RESET RETRY COUNTER",
    0x46: "GENERATE KEY PAIR",
    0x70: "MANAGE CHANNEL",
    0x82: "EXTERNAL AUTHENTICATE",
    0x84: "GET CHALLENGE",
    0x86: "GENERAL AUTHENTICATE",
    0x88: "INTERNAL AUTHENTICATE",
    0xA4: "SELECT",
    0xB0: "READ BINARY",
    0xB1: "READ BINARY",
    0xB2: "READ RECORD",
    0xB3: "READ RECORD",
    0xC0: "GET RESPONSE",
    0xCA: "GET DATA",
    0xCB: "GET DATA",
    0xD6: "UPDATE BINARY",
    0xDA: "PUT DATA",
}
WITH_CODES = frozenset((0x20, 0x21, 0x24, 0x25, 0x26, 0x28, 0x2C, 0x2D))
WITHOUT_EVENT = frozenset(("card", "turn", "disk", "keypad"))  # the commands and the dialogs tell more


class Content(Enum):
    """How much of what is sent and answered a trace has."""

    NONE = "none"
    MASKED = "masked"
    FULL = "full"


class Trace:
    """Tells its followers, on the event loop; costs nothing while there are none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buses = {content: EventBus() for content in Content}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_followed(self) -> bool:
        """Whether anybody watches; asked on the readers' threads."""
        return any(bus.listeners for bus in self._buses.values())

    @property
    def is_masked(self) -> bool:
        """Whether anybody watches what is sent and answered, masked."""
        return bool(self._buses[Content.MASKED].listeners)

    @property
    def buses(self) -> tuple[EventBus, ...]:
        """Where its followers are subscribed."""
        return tuple(self._buses.values())

    def follow(self, caller: CallerKey, content: Content = Content.NONE) -> Subscription:
        """Every step from now on, as events of its kind: ``exchange``, ``dialog``, ``http`` and so on."""
        self._loop = asyncio.get_running_loop()
        return self._buses[content].subscribe(caller)

    def exchanged(self, exchange: Exchange) -> None:
        """Tell of one command. From a reader's thread."""
        command, outcome = exchange.command, exchange.outcome
        told = self._told(exchange.reader) | {
            "begins": exchange.begins is not None,
            "instruction": INSTRUCTIONS.get(command.ins, ""),
            "header": command.header.hex().upper(),
            "sent": len(command.data),
            "microseconds": round(exchange.seconds * 1e6),
        }
        told |= {"le": command.le} if command.le is not None else {}
        told |= {"secret": True} if exchange.is_secret else {}
        if exchange.begins is not None:
            atr, protocol = exchange.begins
            told |= {"atr": atr.hex().upper(), "protocol": protocol.name}
        if isinstance(outcome, Response):
            told |= {"received": len(outcome.data), "status": f"{outcome.sw:04X}"}
        else:
            told["error"] = outcome
        self._post("exchange", told, {content: exchange.shown(content) for content in Content}, user=exchange.user)

    def stepped(self, request: Request, step: Step) -> None:
        """Tell of a step of a request; from any thread."""
        if step.kind not in WITHOUT_EVENT and self.is_followed:
            about = {**step.about, "microseconds": _microseconds(step.seconds)}
            self._post(step.kind, self._told(None, request) | about)

    def ended(self, request: Request, status: int, code: str | None) -> None:
        """Tell that a request was answered, and where its seconds went."""
        if self.is_followed:
            spent = {where.value: _microseconds(seconds) for where, seconds in request.seconds().items()}
            about: dict[str, JsonValue] = {"name": request.name, "status": status, **({"code": code} if code else {})}
            self._post("request", {**self._told(None, request), **about, "spent": {**spent}})

    def readers_changed(self, what: str, reader: str, atr: bytes = b"", *, user: int | None = None) -> None:
        """Tell of a reader or a card that came or left; ``user`` is whose alone the reader is."""
        if self.is_followed:
            self._post(what, self._told(reader) | ({"atr": atr.hex().upper()} if atr else {}), user=user)

    def present(self, reader: str, atr: bytes) -> Event:
        """Return what a trace begins with: a reader that is there, and the card in it."""
        return Event("reader.present", self._told(reader) | ({"atr": atr.hex().upper()} if atr else {}))

    def close(self) -> None:
        """End every trace: the daemon stops."""
        for bus in self.buses:
            bus.close()

    def _told(self, reader: str | None, request: Request | None = None) -> dict[str, JsonValue]:
        told: dict[str, JsonValue] = {"at": self._clock.now().isoformat(timespec="milliseconds")}
        told |= {"reader": reader} if reader is not None else {}
        asked = request or current()
        return told | ({"request": asked.id} if asked else {})

    def _post(
        self,
        kind: str,
        told: dict[str, JsonValue],
        more: Mapping[Content, dict[str, JsonValue]] | None = None,
        *,
        user: int | None = None,
    ) -> None:
        if self._loop:
            post(self._loop, partial(self._publish, kind, told, more or {}, user))

    def _publish(
        self, kind: str, told: dict[str, JsonValue], more: Mapping[Content, dict[str, JsonValue]], user: int | None
    ) -> None:
        for content, bus in self._buses.items():
            bus.publish(Event(kind, told | more.get(content, {}), user=user))


class Exchange(Value):
    """One command and what came back: a response, or the code of an error.

    ``begins`` has the card's answer to reset and its protocol, where this is the first command since a transaction
    began or the card was reset. ``masked`` are data and answer as a record of the trace may have them. ``is_secret``
    says that a code went with the command, whose length nobody is told. ``user`` is whose alone the reader is.
    """

    reader: str
    command: Command
    outcome: Response | str
    seconds: float
    begins: tuple[bytes, Protocol] | None
    masked: tuple[bytes | None, bytes | None] = (None, None)
    is_secret: bool = False
    user: int | None = None

    def shown(self, content: Content) -> dict[str, JsonValue]:
        """Return data and answer as far as a trace of this kind has them; never a code."""
        if content is Content.NONE:
            return {}
        answer = self.outcome.data if isinstance(self.outcome, Response) else None
        data, answer = self.masked if content is Content.MASKED else (self.command.data, answer)
        if self.command.ins in WITH_CODES:
            data = None
        found = (("data", data), ("answer", answer))
        return {name: value.hex().upper() for name, value in found if value is not None}


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


class TracedChannel:
    """A card's channel that tells the trace of what goes through it; ``user`` is whose alone the reader is."""

    def __init__(self, reader: str, channel: Channel, trace: Trace, user: int | None = None) -> None:
        self._reader = reader
        self._user = user
        self._channel = channel
        self._trace = trace
        self._epoch = -1
        self._masks: Masks | None = None  # while a trace is recorded

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
        return self._traced(command, lambda: self._channel.transmit_secret(command, secret), is_secret=True)

    def verify_on_pinpad(self, command: Command, pin: PinInfo) -> Response:
        """Have the reader's keypad complete the command; the trace knows it without what was typed."""
        with step("keypad", Where.PERSON):
            return self._traced(command, lambda: self._channel.verify_on_pinpad(command, pin), is_secret=True)

    def _traced(self, command: Command, send: Callable[[], Response], *, is_secret: bool = False) -> Response:
        if not self._trace.is_followed:
            self._masks = None  # the card goes on unseen
            return send()
        began = time.perf_counter()
        try:
            response = send()
        except CarddError as error:
            self._tell(command, began, error.code, is_secret=is_secret)
            raise
        self._tell(command, began, response, is_secret=is_secret)
        return response

    def _tell(self, command: Command, began: float, outcome: Response | str, *, is_secret: bool) -> None:
        seconds = time.perf_counter() - began
        is_first, self._epoch = self._epoch != self._channel.epoch, self._channel.epoch
        begins = (self._channel.atr, self._channel.protocol) if is_first else None
        masked = self._masked(command, outcome)
        told = Exchange(self._reader, command, outcome, seconds, begins, masked, is_secret, self._user)
        self._trace.exchanged(told)

    def _masked(self, command: Command, outcome: Response | str) -> tuple[bytes | None, bytes | None]:
        """Return data and answer without what tells whose the card is, where somebody records them."""
        if not self._trace.is_masked:
            self._masks = None
            return None, None
        if self._masks is None:
            from cardd.core.masks import Masks  # noqa: PLC0415 - only where somebody records

            self._masks = Masks()
        answer = self._masks.answer(command, outcome.data) if isinstance(outcome, Response) else None
        return self._masks.data(command), answer
