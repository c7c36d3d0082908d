"""A simulated card as its reader sees it: power, commands, answers, and the time that they take.

Source: ISO/IEC 7816-3 section 12, and the emulation facts, section 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cardd.apdu import CHAINING, LE_MAX, SW, Command, Response
from cardd.apdu import Protocol as CardProtocol
from cardd.values import Value

NO_CURRENT_FILE, NO_ROOM = 0x6986, 0x6A84
GET_RESPONSE = 0xC0
MORE, WRONG_LE = 0x6100, 0x6C00
PIN_COMMANDS = frozenset((0x20, 0x24, 0x2C))
SECURITY_OPERATION, AUTHENTICATE, HASH_P1 = 0x2A, 0x88, 0x90

# the shares of a signature's time, in the proportions of the real cards' figures
SIGNATURE, PIN, HASH, OTHER = 1.0, 0.25, 0.1, 0.025

Execute = Callable[[Command], Response]


class PoweredCard(Protocol):
    """Power and bytes. Only one thread may use a card at a time."""

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        ...

    @property
    def protocol(self) -> CardProtocol:
        """T=0 or T=1, as the answer to reset has it."""
        ...

    @property
    def title(self) -> str:
        """Return which card it is, in a few words for its user."""
        ...

    def power_on(self) -> bytes:
        """Reset the card cold, and return its ATR."""
        ...

    def power_off(self) -> None:
        """Logins, selection and environment are lost; tries and data are not."""
        ...

    def reset(self) -> bytes:
        """Reset the card warm, and return its ATR."""
        ...

    def process(self, apdu: bytes) -> bytes:
        """Take one command APDU, and return the answer: with a status word whatever the bytes, empty without power."""
        ...


class Refused(Exception):
    """The command ends with this status word; it never leaves the card, which answers it."""

    def __init__(self, sw: int) -> None:
        super().__init__(f"{sw:04X}")
        self.sw = sw


class Transmission:
    """How the answers of one card travel: directly, or fetched with GET RESPONSE, whole or in parts.

    Under T=0 a command with a body never brings data back: the card says 61xx. Under T=1 data comes at once, as much as
    Le asks for. The part of an answer that waits to be fetched is lost with any other command.
    """

    def __init__(self, protocol: CardProtocol, execute: Execute) -> None:
        self._protocol = protocol
        self._execute = execute
        self._waiting = b""

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting = b""

    def answer(self, command: Command) -> Response:
        """Execute the command, or fetch what waits."""
        if command.ins == GET_RESPONSE:
            return self._fetch(command.le or LE_MAX)
        self._waiting = b""
        response = self._execute(command)
        if not response.data:
            return response
        if self._protocol is CardProtocol.T0 and command.data:
            return self._keep(response.data)
        return self._direct(command, response)

    def _direct(self, command: Command, response: Response) -> Response:
        asked = command.le or (LE_MAX if self._protocol is CardProtocol.T0 else 0)
        if len(response.data) <= asked:
            return response
        if self._protocol is CardProtocol.T0:
            return Response(b"", WRONG_LE | len(response.data) % LE_MAX)
        self._waiting = response.data[asked:]
        return Response(response.data[:asked], MORE | _count(self._waiting))

    def _keep(self, data: bytes) -> Response:
        self._waiting = data
        return Response(b"", MORE | _count(data))

    def _fetch(self, asked: int) -> Response:
        if not self._waiting:
            return Response(b"", SW.CONDITIONS)
        data, self._waiting = self._waiting[:asked], self._waiting[asked:]
        return Response(data, MORE | _count(self._waiting) if self._waiting else SW.OK)


def _count(data: bytes) -> int:
    """Return the length as a status word tells it: 256 and more are 00."""
    return len(data) if len(data) < LE_MAX else 0


class Delays(Value):
    """How long each kind of command takes, from ``signature_ms``; 0: no longer than this machine needs.

    ``signature_ms`` for signing, authenticating and deciphering; a quarter of it for a PIN that is presented or
    changed, a tenth for hashing on the card, a fortieth for everything else.
    """

    signature_ms: int = 0

    def of(self, command: Command) -> float:
        """Return the seconds that this command takes."""
        return self.signature_ms / 1000 * _share(command)


def _share(command: Command) -> float:
    if command.cla & CHAINING:
        return OTHER
    if command.ins in PIN_COMMANDS:
        return PIN if command.data else OTHER
    if command.ins == SECURITY_OPERATION:
        return HASH if command.p1 == HASH_P1 else SIGNATURE
    return SIGNATURE if command.ins == AUTHENTICATE else OTHER
