"""TLS over an asyncio transport: the handshake runs on a thread, the rest on the event loop, where the key is asked."""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TypeVar

from cardd.errors import CarddError, UpstreamClosed, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from cardd.model import Algorithm
from cardd.outward import DIRECT, Outward, ProxyFault, is_blocked, open_tunnel
from cardd.tls.engine import Engine, Resumption
from cardd.tls.starttls import StartTls, ask_for_tls
from cardd.tlv import encode
from cardd.worker import Worker

SEQUENCE, INTEGER = 0x30, 0x02

Ask = Callable[[Algorithm, bytes], Coroutine[None, None, bytes]]

T = TypeVar("T")

_here = threading.local()

SILENCE_LIMIT = 30.0  # for the server's next word before and in the handshake
SIGNATURE_LIMIT = 600.0  # a person may have to type the PIN; the dialogs end long before
WRITE_BUFFER = 1024 * 1024
# a server is gone that does not answer four questions, 15 s apart, after a minute of silence
KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
EARLY_MAX = 64  # pieces that may wait while the handshake is busy; nobody has so much to say there


def sign_here(algorithm: Algorithm, digest: bytes) -> bytes:
    """Ask the signer of the handshake that this thread does; empty where it does none (a ``provider.Sign``)."""
    signer: LoopSigner | None = getattr(_here, "signer", None)
    return signer.sign(algorithm, digest) if signer else b""


class LoopSigner:
    """One handshake's way to the key: ``ask`` signs a digest on the event loop, for this handshake only.

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
        """Do this work on the calling thread; what it has to be signed comes to this signer."""
        _here.signer = self
        try:
            return work()
        finally:
            del _here.signer

    def sign(self, algorithm: Algorithm, digest: bytes) -> bytes:
        """Return the signature; empty when there is none. Blocks; never on the loop's own thread."""
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
        """Take note, on the loop's thread, that nobody waits for the signature any more."""
        self._is_over = True
        if self._asking is not None:
            self._asking.cancel()

    async def _on_loop(self, algorithm: Algorithm, digest: bytes) -> bytes:
        if self._is_over:
            raise asyncio.CancelledError
        self._asking = asyncio.current_task()  # noted here and not on the thread, which may be late
        return await self._ask(algorithm, digest)


def _der(signature: bytes) -> bytes:
    """Return R and S as ECDSA-Sig-Value (RFC 3279)."""
    half = len(signature) // 2
    return encode(SEQUENCE, b"".join(_integer(part) for part in (signature[:half], signature[half:])))


def _integer(raw: bytes) -> bytes:
    number = int.from_bytes(raw, "big")
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """A transport for a protocol above, and the protocol of the TCP transport below.

    ``on_resumable`` is called once the server has given what lets the next handshake do without the key; ``words`` are
    the seconds for all that it says before and in the handshake.
    """

    def __init__(self, engine: Engine, name: str, on_resumable: Callable[[Resumption], None], words: float) -> None:
        super().__init__()
        self._engine = engine
        self._name = name
        self._on_resumable: Callable[[Resumption], None] | None = on_resumable
        self._below: asyncio.Transport | None = None
        self._above: asyncio.Protocol | None = None
        self._early: asyncio.Queue[bytes] = asyncio.Queue()
        self._is_paused = False
        self._is_ours_to_end = False
        self._has_ended = False
        self._fault: Exception | None = None
        self._words = self._words_left = words

    # --- before the handshake, where a protocol begins without TLS

    async def heard(self) -> bytes:
        """Return what the server says, never empty. Raises UpstreamTimeout, UpstreamClosed."""
        limit, told = min((SILENCE_LIMIT, SILENCE_LIMIT), (self._words_left, self._words))
        begun = time.monotonic()
        try:
            data = await asyncio.wait_for(self._early.get(), limit)
        except TimeoutError:
            raise UpstreamTimeout(name=self._name, seconds=round(told)) from None
        self._words_left -= time.monotonic() - begun
        if not data:
            raise UpstreamClosed(name=self._name)
        return data

    def say(self, data: bytes) -> None:
        """Send the data as they are."""
        if self._below is not None:
            self._below.write(data)

    # --- the handshake

    async def handshake(self, signer: LoopSigner | None) -> None:
        """Do the handshake. Raises UpstreamError, and what the signature raised."""
        late = UpstreamTimeout(name=self._name, seconds=round(SIGNATURE_LIMIT))
        worker = Worker("cardd-tls", lambda _: late)
        step = partial(signer.during, self._engine.handshake) if signer else self._engine.handshake
        try:
            while not await worker.run(step, timeout=SIGNATURE_LIMIT):
                self._send()
                self._engine.feed(await self.heard())
        except UpstreamError:
            if signer is not None and signer.fault is not None:
                raise signer.fault from None  # what waits to be sent has our certificate in it
            self._send()  # the alert that tells the server
            raise
        finally:
            if signer is not None:
                signer.cancel()
            await worker.close(lambda: None, timeout=0.0)
        self._send()

    def serve(self, above: asyncio.Protocol) -> None:
        """Hand the connection to the protocol above."""
        self._above = above
        above.connection_made(self)
        if self._below is None:
            above.connection_lost(self._fault)
            return
        self._tell_resumable()
        while not self._early.empty():
            self.data_received(self._early.get_nowait())
        self._deliver()  # a server that speaks first may have spoken in the handshake's last flight

    # --- asyncio.Protocol: what the TCP transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - create_connection makes no other
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        _notice_silence(transport)
        self._below = transport

    def data_received(self, data: bytes) -> None:
        """Take records, or parts of some."""
        if self._above is None:
            self._early.put_nowait(data)
            if self._early.qsize() > EARLY_MAX:
                self.abort()
            return
        self._engine.feed(data)
        self._deliver()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the loss of the connection; an end without the server's goodbye is one too: it may be anybody's."""
        self._below = None
        if self._above is not None:  # before, the engine may be on its thread still
            self._engine.shutdown()
        if exc is None and self._fault is None and not (self._is_ours_to_end or self._engine.is_ended):
            exc = ConnectionResetError("closed without TLS close_notify")
        self._fault = self._fault or exc
        self._early.put_nowait(b"")
        if self._above is not None:
            self._above.connection_lost(self._fault)

    def pause_writing(self) -> None:
        """Have the protocol above wait: too much is to be sent."""
        if self._above is not None:
            self._above.pause_writing()

    def resume_writing(self) -> None:
        """Let the protocol above write again."""
        if self._above is not None:
            self._above.resume_writing()

    def _deliver(self) -> None:
        try:
            while not self._is_paused and self._above is not None and (data := self._engine.read()):
                self._tell_resumable()
                self._above.data_received(data)
        except UpstreamError as error:
            self._fault = error
        self._tell_resumable()
        self._send()
        if self._below is not None and (self._fault or (self._engine.is_ended and not self._is_paused)):
            self._below.close()

    def _tell_resumable(self) -> None:
        if self._on_resumable is not None and (found := self._engine.resumption()) is not None:
            self._on_resumable(found)
            self._on_resumable = None

    def _send(self) -> None:
        data = self._engine.take()
        if data and self._below is not None and not self._has_ended:
            self._below.write(data)

    # --- asyncio.Transport: what the protocol above asks

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send the data."""
        if self._below is None or self._below.is_closing() or self._has_ended:
            return
        self._engine.write(data)
        self._send()

    def pause_reading(self) -> None:
        """Deliver nothing more for now."""
        self._is_paused = True
        if self._below is not None:
            self._below.pause_reading()

    def resume_reading(self) -> None:
        """Deliver again, from the next turn of the loop on."""
        if self._is_paused:
            self._is_paused = False
            if self._below is not None:
                self._below.resume_reading()
                asyncio.get_running_loop().call_soon(self._deliver)

    def can_write_eof(self) -> bool:
        """Return that one side may say goodbye before the other."""
        return True

    def write_eof(self) -> None:
        """Say goodbye, and go on listening; TCP's end too, as some servers only look up when something comes."""
        self._engine.shutdown()
        self._send()
        self._has_ended = True
        if self._below is not None and not self._below.is_closing():
            self._below.write_eof()

    def close(self) -> None:
        """Say goodbye and end."""
        self._is_ours_to_end = True
        self._engine.shutdown()
        self._send()
        if self._below is not None:
            self._below.close()

    def abort(self) -> None:
        """End at once: what was being read is not whole."""
        self._fault = self._fault or ConnectionAbortedError("aborted")
        if self._below is not None:
            self._below.abort()

    def is_closing(self) -> bool:
        """Return whether the connection ends, or has ended."""
        return self._below is None or self._below.is_closing()

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait to be sent."""
        return self._below.get_write_buffer_size() if self._below is not None else 0

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of the TCP connection."""
        return self._below.get_extra_info(name, default) if self._below is not None else default


def _notice_silence(transport: asyncio.Transport) -> None:
    """Have the kernel ask a silent server whether it is there: a tunnel may wait for its next word for hours."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEP_ALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def _reach(transport: TlsTransport, host: str, port: int, outward: Outward, patience: float) -> None:
    loop = asyncio.get_running_loop()
    proxy = await outward.proxy_to("https", host, port)
    if proxy is None:
        await asyncio.wait_for(loop.create_connection(lambda: transport, host, port), patience)
        return
    try:
        tunnel = await open_tunnel(proxy, host, port, limit=patience)
    except ProxyFault as fault:
        if fault.trouble == "credentials":
            outward.refused_by(proxy)
        raise
    await loop.create_connection(lambda: transport, sock=tunnel)


async def connect(
    host: str,
    port: int,
    engine: Engine,
    name: str,
    above: asyncio.Protocol,
    *,
    signer: LoopSigner | None,
    on_resumable: Callable[[Resumption], None],
    outward: Outward = DIRECT,
    patience: float,
    words: float,
    starttls: StartTls = "none",
) -> TlsTransport:
    """Return the connection, handed to ``above``. Raises UpstreamError, and what the signature raised."""
    transport = TlsTransport(engine, name, on_resumable, words)
    try:
        await _reach(transport, host, port, outward, patience)
    except TimeoutError:
        raise UpstreamUnreachable(name=name, why=f"{patience:g} s") from None
    except ProxyFault as fault:
        why = "blocked" if is_blocked(fault.__cause__) else f"proxy_{fault.trouble}"
        raise UpstreamUnreachable(name=name, why=why) from fault
    except OSError as fault:
        why = "blocked" if is_blocked(fault) else fault.strerror or type(fault).__name__
        raise UpstreamUnreachable(name=name, why=why) from fault
    try:
        if starttls != "none":
            await ask_for_tls(starttls, transport, name)
        await transport.handshake(signer)
    except BaseException:
        transport.abort()
        raise
    transport.serve(above)
    return transport
