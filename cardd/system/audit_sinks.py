"""Where the audit log's head is sent on: the journal, a file of the site's, a server of the site's.

A head is a number and a hash and tells nothing of anybody. Whoever takes rows from the log cannot take back what was
sent: ``cardctl audit verify --heads FILE`` compares the two. Nobody waits for a sink, least of all a signature.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from cardd.backoff import BackOff
from cardd.core.audit import TIME_FORMAT, Head
from cardd.errors import AuditUnavailable, CarddError
from cardd.http import HttpClient, HttpFault, Limits
from cardd.outward import DIRECT, Outward
from cardd.values import Value
from cardd.worker import Worker, post

JOURNAL = "journal"
PATIENCE = 10.0  # seconds for one head

log = logging.getLogger(__name__)


class Patience(Value):
    """How many seconds a sink that failed is left alone, at first and at the most, and the last head may take."""

    pause_first: float = 5.0
    pause_max: float = 3600.0
    last: float = 1.0


class AuditSinks:
    """The sinks that are configured; ``workstation`` is what a server knows this one by."""

    def __init__(
        self,
        sinks: Sequence[str],
        workstation: str,
        patience: Patience | None = None,
        *,
        outward: Outward = DIRECT,
    ) -> None:
        patience = patience or Patience()
        self._journal = JOURNAL in sinks
        self._http = HttpClient(Limits(size=64 * 1024, total=PATIENCE, connections=4), outward=outward)
        self._workers = [
            _Sink(name, _file(name) if name.startswith("/") else partial(self._posted, name, workstation), patience)
            for name in dict.fromkeys(sinks)
            if name != JOURNAL
        ]
        self._told: Head | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def tell(self, head: Head) -> None:
        """Send this head on, from any thread; one that was sent already is left alone."""
        if head == self._told or not head.number:
            return
        self._told = head
        if self._journal:
            log.info("audit head %d %s", head.number, head.hash)
        if self._loop:
            for sink in self._workers:
                post(self._loop, partial(sink.give, head))

    async def watch(self) -> None:
        """Begin to send."""
        self._loop = asyncio.get_running_loop()
        for sink in self._workers:
            sink.start(self._told)

    async def stop(self) -> None:
        """Send what waits, for a moment, and give the connections back."""
        await asyncio.gather(*(sink.stop() for sink in self._workers))
        await self._http.close()

    async def _posted(self, address: str, workstation: str, head: Head) -> None:
        told = {"workstation": workstation, "time": _now(), "number": str(head.number), "hash": head.hash}
        try:
            answer = await self._http.request("POST", address, json=told)
        except HttpFault as fault:
            raise AuditUnavailable(why=fault.why.value) from fault
        if answer.status >= 300:
            raise AuditUnavailable(why=f"HTTP {answer.status}")


class _Sink:
    """One sink: it is given the newest head, and tries until it has it."""

    def __init__(self, name: str, send: Callable[[Head], Awaitable[None]], patience: Patience) -> None:
        self._name = name
        self._patience = patience
        self._send = send
        self._waiting: Head | None = None
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_empty = asyncio.Event()

    def start(self, head: Head | None) -> None:
        self._task = asyncio.ensure_future(self._run())
        self._is_empty.set()
        if head:
            self.give(head)

    def give(self, head: Head) -> None:
        self._waiting = head
        self._is_empty.clear()
        self._news.set()

    async def stop(self) -> None:
        if self._task:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_empty.wait(), self._patience.last)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        pauses = BackOff(self._patience.pause_first, self._patience.pause_max)
        has_failed = False
        while True:
            await self._news.wait()
            self._news.clear()
            head = self._waiting
            if head is None:
                continue
            try:
                await self._send(head)
            except (CarddError, OSError) as fault:
                if not has_failed:
                    log.warning("the audit log's head cannot be sent to %s: %s", self._name, fault)
                has_failed = True
                await asyncio.sleep(pauses.pause())
                self._news.set()
                continue
            has_failed = False
            pauses.reset()
            if self._waiting is head:
                self._waiting = None
                self._is_empty.set()


def _file(path: str) -> Callable[[Head], Awaitable[None]]:
    """Return what appends a head to this file, on a thread of its own: a share that hangs makes nobody wait."""
    worker = Worker("audit sink", lambda seconds: AuditUnavailable(why=f"{seconds:.0f} s"))

    def write(head: Head) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(path, flags | os.O_NONBLOCK, 0o600)  # a pipe that nobody reads is not waited for
        try:
            os.write(file, f"{_now()} {head.number} {head.hash}\n".encode())
        finally:
            os.close(file)

    async def send(head: Head) -> None:
        await worker.run(partial(write, head), timeout=PATIENCE)

    return send


def _now() -> str:
    return datetime.now(UTC).strftime(TIME_FORMAT)
