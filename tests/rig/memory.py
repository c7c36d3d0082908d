"""Ports of the core kept in memory: what a test moves, fills up or looks into."""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cardd.errors import AuditUnavailable, StateUnavailable
from cardd.model import AuditEntry, AuditRow, Receipt
from cardd.secret import Secret
from cardd.values import replace

DISK = 20.0  # seconds that a disk hangs at most


class ManualClock:
    """Time that moves only when the test says so; ``seconds`` is both of its clocks, ``began`` when it was 1000."""

    def __init__(self, began: datetime | None = None) -> None:
        self.seconds = 1000.0
        self.began = began or datetime.now(UTC)

    def now(self) -> datetime:
        """The time of day."""
        return self.began + timedelta(seconds=self.monotonic() - 1000)

    def monotonic(self) -> float:
        """The seconds."""
        return self.seconds


class RunningClock(ManualClock):
    """Time that also moves by itself, for tests with another program that has its own clock."""

    def __init__(self) -> None:
        super().__init__()
        self._start = time.monotonic()

    def monotonic(self) -> float:
        """The seconds, and those that have passed."""
        return self.seconds + time.monotonic() - self._start


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on by itself to the next timer as soon as nothing else is to be done: nobody waits.

    For what neither another thread nor another process has a part in.
    """

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        """Return its time, in seconds."""
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._jump(timeout or 0.0)
        return super().select(0)


class MemoryAudit:
    """Keeps the entries; refuses them while ``is_full``, and keeps ``write`` waiting while ``disk`` is cleared."""

    def __init__(self) -> None:
        self.entries: list[AuditEntry] = []
        self.receipts: dict[bytes, Receipt] = {}
        self.writes: list[int] = []  # how many entries each had
        self.is_full = False
        self._lock = threading.Lock()
        self.disk = threading.Event()
        self.disk.set()

    async def ensure_writable(self) -> None:
        """Raise AuditUnavailable while it is full."""
        if self.is_full:
            raise AuditUnavailable(why="the disk is full")

    async def append(self, entry: AuditEntry) -> AuditRow:
        """Keep it. Raises AuditUnavailable."""
        if self.is_full:
            raise AuditUnavailable(why="the disk is full")
        self.entries.append(entry)
        return AuditRow(len(self.entries), datetime.now(UTC), entry, "")

    def write(self, entries: Sequence[AuditEntry], receipt: Receipt | None = None) -> None:
        """Keep them. Raises AuditUnavailable."""
        if self.is_full:
            raise AuditUnavailable(why="the disk is full")
        with self._lock:
            self.disk.wait(DISK)
            self.writes.append(len(entries))
            if receipt is not None:
                self.receipts[receipt.name] = replace(receipt, row=len(self.entries) + 1)
            self.entries += entries

    def find(self, name: bytes) -> Receipt | None:
        """The receipt."""
        with self._lock:
            return self.receipts.get(name)

    async def tail(self, uid: int, count: int) -> list[AuditRow]:
        """The user's last rows."""
        kept = [entry for entry in self.entries if entry.uid == uid]
        return [AuditRow(number, datetime.now(UTC), entry, "") for number, entry in enumerate(kept, 1)][-count:]

    async def receipt(self, name: bytes) -> Receipt | None:
        """The receipt."""
        return await asyncio.to_thread(self.find, name)

    def acts(self) -> list[str]:
        """Action and outcome of each entry."""
        return [f"{entry.action} {entry.outcome.value}" for entry in self.entries]


class MemorySecrets:
    """Gives the ``values`` as secrets."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def get(self, name: str) -> Secret | None:
        """The secret."""
        return Secret.of(self.values[name]) if name in self.values else None

    async def set(self, name: str, secret: Secret) -> None:
        """Keep it."""
        with secret.view() as view:
            self.values[name] = bytes(view)

    async def delete(self, name: str) -> None:
        """Forget it."""
        self.values.pop(name, None)


class MemoryStore:
    """Keeps the documents; refuses them while ``is_full``."""

    def __init__(self) -> None:
        self.documents: dict[str, str] = {}
        self.is_full = False

    def place(self, name: str) -> str:
        """Return the name of the document."""
        return name

    def load(self, name: str) -> str | None:
        """The document."""
        return self.documents.get(name)

    def save(self, name: str, text: str) -> None:
        """Keep it. Raises StateUnavailable."""
        if self.is_full:
            raise StateUnavailable(file=name, why="ENOSPC")
        self.documents[name] = text


class SwitchedSecrets:
    """The secrets that are there ``now``: a test puts others in their place while the daemon runs."""

    def __init__(self, now: MemorySecrets | None = None) -> None:
        self.now = now or MemorySecrets()

    @property
    def values(self) -> dict[str, bytes]:
        """What they hold."""
        return self.now.values

    @values.setter
    def values(self, values: dict[str, bytes]) -> None:
        self.now.values = values

    async def get(self, name: str) -> Secret | None:
        """The secret."""
        return await self.now.get(name)

    async def set(self, name: str, secret: Secret) -> None:
        """Keep it."""
        await self.now.set(name, secret)

    async def delete(self, name: str) -> None:
        """Forget it."""
        await self.now.delete(name)


class SwitchedStore:
    """The documents that are there ``now``: a test puts others in their place while the daemon runs."""

    def __init__(self, now: MemoryStore | None = None) -> None:
        self.now = now or MemoryStore()

    @property
    def documents(self) -> dict[str, str]:
        """What it holds."""
        return self.now.documents

    @documents.setter
    def documents(self, documents: dict[str, str]) -> None:
        self.now.documents = documents

    def place(self, name: str) -> str:
        """Return the name of the document."""
        return self.now.place(name)

    def load(self, name: str) -> str | None:
        """The document."""
        return self.now.load(name)

    def save(self, name: str, text: str) -> None:
        """Keep it."""
        self.now.save(name, text)


@dataclass
class MemoryPeople:
    """The accounts of a machine: names by uid, and the only person who has one."""

    names: dict[int, str] = field(default_factory=dict)
    alone: int | None = None

    def uid(self, name: str) -> int | None:
        """Whose name it is."""
        return next((uid for uid, named in self.names.items() if named == name), None)

    def only_one(self) -> int | None:
        """The only person."""
        return self.alone
