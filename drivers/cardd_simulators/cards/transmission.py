"""How a card's answers travel: directly, or fetched with GET RESPONSE, whole or in parts.

Under T=0 a command with a body never brings data back: the card says 61xx. Under T=1 data comes at once, as much as Le
asks for. Source: ISO/IEC 7816-3 section 12; the emulation facts, section 1.
"""

from __future__ import annotations

from collections.abc import Callable

from cardd.apdu import LE_MAX, SW, Command, Protocol, Response

GET_RESPONSE = 0xC0
MORE, WRONG_LE = 0x6100, 0x6C00

Execute = Callable[[Command], Response]


class Transmission:
    """Keeps the part of an answer that waits to be fetched; any other command loses it."""

    def __init__(self, protocol: Protocol, execute: Execute) -> None:
        self._protocol = protocol
        self._execute = execute
        self._waiting = b""

    def clear(self) -> None:
        """Nothing waits any more."""
        self._waiting = b""

    def answer(self, command: Command) -> Response:
        """Execute the command, or fetch what waits."""
        if command.ins == GET_RESPONSE:
            return self._fetch(command.le or LE_MAX)
        self._waiting = b""
        response = self._execute(command)
        if not response.data:
            return response
        if self._protocol is Protocol.T0 and command.data:
            return self._keep(response.data)
        return self._direct(command, response)

    def _direct(self, command: Command, response: Response) -> Response:
        asked = command.le or (LE_MAX if self._protocol is Protocol.T0 else 0)
        if len(response.data) <= asked:
            return response
        if self._protocol is Protocol.T0:
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
    """How a status word counts: 256 and more are 00."""
    return len(data) if len(data) < LE_MAX else 0
