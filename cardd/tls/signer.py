"""From the thread of a handshake to the event loop and back: where the key is asked."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine

from cardd.errors import CarddError
from cardd.model import Algorithm
from cardd.tlv import encode

SEQUENCE, INTEGER = 0x30, 0x02

Ask = Callable[[Algorithm, bytes], Coroutine[None, None, bytes]]


class LoopSigner:
    """A ``provider.Sign`` that has ``ask`` sign a digest on the loop.

    ``ask`` gives what drivers give: for ES256, R and S. ``fault`` is why the last signature was not made, if it was
    not; whoever did the handshake takes it from here.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._asked: concurrent.futures.Future[bytes] | None = None
        self.fault: CarddError | None = None

    def __call__(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """The signature; empty when there is none. Blocks; never on the loop's own thread."""
        self.fault = None
        self._asked = asyncio.run_coroutine_threadsafe(self._ask(algorithm, digest), self._loop)
        try:
            signature = self._asked.result()
        except CarddError as error:
            self.fault = error
            return b""
        except concurrent.futures.CancelledError:
            return b""
        return _der(signature) if algorithm is Algorithm.ES256 else signature

    def cancel(self) -> None:
        """Nobody waits for the signature any more."""
        if self._asked is not None:
            self._asked.cancel()


def _der(signature: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279) of R and S."""
    half = len(signature) // 2
    return encode(SEQUENCE, b"".join(_integer(part) for part in (signature[:half], signature[half:])))


def _integer(raw: bytes) -> bytes:
    number = int.from_bytes(raw, "big")
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
