"""From the thread of a handshake to the event loop and back: where the key is asked."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Coroutine
from typing import TypeVar

from cardd.errors import CarddError
from cardd.model import Algorithm
from cardd.tlv import encode

SEQUENCE, INTEGER = 0x30, 0x02

Ask = Callable[[Algorithm, bytes], Coroutine[None, None, bytes]]

T = TypeVar("T")

_here = threading.local()


def sign_here(algorithm: Algorithm, digest: bytes) -> bytes:
    """A ``provider.Sign``: asks the signer of the handshake that this thread does; empty where it does none."""
    signer: LoopSigner | None = getattr(_here, "signer", None)
    return signer.sign(algorithm, digest) if signer else b""


class LoopSigner:
    """Has ``ask`` sign a digest on the loop, for one handshake only: a thread that is late never asks for another's.

    ``ask`` gives what drivers give: for ES256, R and S. ``fault`` is why the signature was not made, if it was not;
    whoever did the handshake takes it from here.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._asking: asyncio.Task[bytes] | None = None
        self._is_over = False
        self.fault: CarddError | None = None

    def during(self, work: Callable[[], T]) -> T:
        """Do this on the thread that calls; what it has to be signed comes here."""
        _here.signer = self
        try:
            return work()
        finally:
            del _here.signer

    def sign(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """The signature; empty when there is none. Blocks; never on the loop's own thread."""
        asked = asyncio.run_coroutine_threadsafe(self._on_loop(algorithm, digest), self._loop)
        try:
            signature = asked.result()
        except CarddError as error:
            self.fault = error
            return b""
        except concurrent.futures.CancelledError:
            return b""
        return _der(signature) if algorithm is Algorithm.ES256 else signature

    def cancel(self) -> None:
        """Nobody waits for the signature any more. On the loop's thread."""
        self._is_over = True
        if self._asking is not None:
            self._asking.cancel()

    async def _on_loop(self, algorithm: Algorithm, digest: bytes) -> bytes:
        if self._is_over:
            raise asyncio.CancelledError
        self._asking = asyncio.current_task()  # noted here and not on the thread, which may be late
        return await self._ask(algorithm, digest)


def _der(signature: bytes) -> bytes:
    """ECDSA-Sig-Value (RFC 3279) of R and S."""
    half = len(signature) // 2
    return encode(SEQUENCE, b"".join(_integer(part) for part in (signature[:half], signature[half:])))


def _integer(raw: bytes) -> bytes:
    number = int.from_bytes(raw, "big")
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))
