"""Documents that a session was handed, or that came of signing them: encrypted files without a name, for a few minutes.

A large document travels apart from the request that names it, so that no request and no answer holds it whole. The
system deletes such a file with its last use, whatever happens to the daemon, and its key is in memory only; here both
end with the session, with their time, or when whoever gave the document says so.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import BinaryIO

from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.errors import DocumentNoSpace, DocumentsFull, DocumentUnknown
from cardd.formats.document import again, settle, size_of
from cardd.ports import Clock
from cardd.secret import new_id
from cardd.values import Record, Value, field

NAMED = re.compile(rb'("document_id"\s*:\s*")([^"\\]*)')
LIFETIME = 600.0  # seconds: longer than any dialog, shorter than a coffee


class HeldDocument(Value):
    """One document; ``digest`` is the SHA-256 of one that was handed over, ``expires_at`` when it is dropped."""

    HIDDEN = frozenset({"content"})

    id: str
    content: BinaryIO
    size: int
    media_type: str
    expires_at: datetime
    digest: bytes = b""


class HeldDocuments(Part, Record):
    """The documents of all sessions. ``count_max`` and ``bytes_max`` are for one session."""

    clock: Clock
    count_max: int = 64
    bytes_max: int = 512 * 1024 * 1024
    _held: dict[str, dict[str, HeldDocument]] = field(default_factory=dict)
    _coming: Counter[str] = field(default_factory=Counter)
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def check_room(self, session: Session, size: int) -> None:
        """Raises DocumentsFull where this session may not be handed so many bytes more."""
        mine = self._held.get(session.id, {})
        used = self._coming[session.id] + sum(held.size for held in mine.values())
        if len(mine) >= self.count_max or size + used > self.bytes_max:
            raise DocumentsFull(count=self.count_max, bytes=self.bytes_max)

    @contextmanager
    def coming(self, session: Session) -> Iterator[Callable[[int], None]]:
        """While a document comes: tell it of each further bytes, which count as held. It raises DocumentsFull."""
        size = 0

        def more(count: int) -> None:
            nonlocal size
            self.check_room(session, count)
            size += count
            self._coming[session.id] += count

        try:
            yield more
        finally:
            self._coming[session.id] -= size
            self._coming += Counter()  # without those that are at zero

    def hold(self, session: Session, content: BinaryIO, media_type: str, digest: bytes = b"") -> HeldDocument:
        """Keep this file for the session, and close it in the end. Raises DocumentNoSpace, and has closed it then."""
        try:
            settle(content)
        except DocumentNoSpace:
            content.close()
            raise
        until = self.clock.now() + timedelta(seconds=LIFETIME)
        held = HeldDocument(new_id(), content, size_of(content), media_type, until, digest)
        self._held.setdefault(session.id, {})[held.id] = held
        self._timers[held.id] = asyncio.get_running_loop().call_later(LIFETIME, self._drop, session.id, held.id)
        return held

    def find(self, session: Session, identifier: str) -> HeldDocument:
        """Return one of this session's documents. Raises DocumentUnknown."""
        held = self._held.get(session.id, {}).get(identifier)
        if held is None:
            raise DocumentUnknown(document=identifier)
        return held

    def by_content(self, session: Session, request: bytes) -> bytes:
        """Return a request with its documents named by their SHA-256: so it is the same one in another session.

        Raises DocumentUnknown: a document whose time is over is to be handed over again.
        """

        def by_digest(named: re.Match[bytes]) -> bytes:
            held = self.find(session, named[2].decode(errors="replace"))
            return named[1] + (held.digest.hex().encode() or named[2])

        return NAMED.sub(by_digest, request) if b"document_id" in request else request

    def open(self, session: Session, identifier: str) -> BinaryIO:
        """Open the document as a file of the caller's own, which outlives this one. Raises DocumentUnknown."""
        return again(self.find(session, identifier).content)

    def drop(self, session: Session, identifier: str) -> None:
        """Forget it. Raises DocumentUnknown."""
        self.find(session, identifier)
        self._drop(session.id, identifier)

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget all that a session held."""
        for identifier in list(self._held.get(session.id, {})):
            self._drop(session.id, identifier)

    def _drop(self, session: str, identifier: str) -> None:
        mine = self._held[session]
        mine.pop(identifier).content.close()
        self._timers.pop(identifier).cancel()
        if not mine:
            del self._held[session]
