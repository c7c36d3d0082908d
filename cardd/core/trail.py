"""Rows for what is neither signature nor login: who was let in or shut out, what was locked, which settings changed.

The rows say afterwards by which door somebody came. No row holds anybody up: one that cannot be written is told in the
journal. Whoever repeats an act fills no disk: ``CountedRefusals`` counts these acts too.
"""

from __future__ import annotations

import logging
import os
from base64 import urlsafe_b64decode
from collections.abc import Iterable

from cardd.config import Config
from cardd.config.settings import sections_of
from cardd.core.leases import TAKEN_OVER
from cardd.core.lifecycle import Part
from cardd.core.recording import Pseudonyms, entry_of
from cardd.core.session import Session
from cardd.core.state_file import StateFile
from cardd.errors import AuditUnavailable, CarddError, StateUnavailable
from cardd.model import AuditEntry, Caller, CallerKey, Outcome, Plain
from cardd.ports import AuditLog, Store
from cardd.values import Value, replace
from cardd.worker import Background

STORE = "settings"
OWN = "cardd"  # the caller of what nobody asked for
SHUT_OUT = {
    "client_removed": "client.remove",
    "client_locked": "client.lock",
    "origin_revoked": "origin.revoke",
    "program_revoked": "program.revoke",
}
NAMES_MAX = 512  # characters of a row that names what changed

log = logging.getLogger(__name__)


def _digest(page_key: str | None) -> bytes | None:
    """Return the SHA-256 that the name of a page's key is (RFC 7638)."""
    return urlsafe_b64decode(page_key + "=") if page_key else None


class AuditTrail(Part):
    """Hears what happened from the ``Lifecycle``, and writes it down."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._background = Background()

    async def stop(self) -> None:
        """Wait for the rows that are being written."""
        await self._background.settle()

    def client_let_in(self, client: Caller, act: str, consent: str | None) -> None:
        """Record a pairing, a page that was allowed, a program that was unlocked."""
        self._record(entry_of(client, act, digest=_digest(client.page_key), consent=consent))

    def client_refused(self, client: Caller, act: str, error: CarddError) -> None:
        """Record that the person did not let a program or a page in."""
        self._record(replace(entry_of(client, act), outcome=Outcome.REFUSED, code=error.code))

    def client_shut_out(self, client: CallerKey, reason: str, name: str) -> None:
        """Record that a program or a page was removed or locked out."""
        key = _digest(client.page_key)
        act = SHUT_OUT.get(reason, reason)
        self._record(AuditEntry(act, Outcome.DONE, client.uid, client.client, name, digest=key.hex() if key else None))

    def origins_listed(self, caller: Caller) -> None:
        """Record that somebody looked at the list of sites."""
        self._record(entry_of(caller, "origin.list"))

    def session_closed(self, session: Session, reason: str) -> None:
        """Record that another user of the machine took the card over."""
        if reason == TAKEN_OVER:
            self._record(entry_of(session.caller, "session.take_over", session=session.id))

    def session_locked(self, session: Session) -> None:
        """Record that a session was locked."""
        self._record(entry_of(session.caller, "session.lock", session=session.id))

    def agent(self, act: str, uid: int, program: str, code: str | None = None) -> None:
        """Record that a desktop's agent came (``agent.register``) or was refused, or left (``agent.leave``)."""
        outcome = Outcome.REFUSED if code else Outcome.DONE
        self._record(AuditEntry(act, outcome, uid, f"local:{uid}", program, code=code))

    def _record(self, entry: AuditEntry) -> None:
        self._background.start(self._append(entry))

    async def _append(self, entry: AuditEntry) -> None:
        """Write the row, or tell that it could not be."""
        try:
            await self._audit.append(entry)
        except (AuditUnavailable, StateUnavailable) as error:
            log.warning("no row for %s of user %d: %s", Plain(entry.action), entry.uid, error)


class _Kept(Value):
    """A pseudonym of each setting's value, by the setting's name."""

    settings: dict[str, str]


class ChangedSettings:
    """Which settings differ from those of the daemon before: their values are kept as pseudonyms, some are secret."""

    def __init__(self, config: Config, store: Store, pseudonyms: Pseudonyms) -> None:
        self._config = config
        self._file = StateFile(store, STORE, _Kept)
        self._pseudonyms = pseudonyms
        self._now: dict[str, str] = {}

    def _since_last(self) -> list[str] | None:
        """Return the names of those that changed; empty with the first daemon, None when none did."""
        try:
            self._now = {name: self._pseudonyms.of(f"{name}={value}") for name, value in _values(self._config)}
            kept = self._file.load()
        except StateUnavailable as error:
            log.warning("whether settings have changed is not known: %s", error)
            return None
        before = kept.settings if kept else {}
        changed = sorted(name for name in {*before, *self._now} if before.get(name) != self._now.get(name))
        return (changed if kept else []) if changed else None

    async def record(self, audit: AuditLog) -> None:
        """Give the changes a row, and compare with these settings from now on."""
        changed = self._since_last()
        if changed is None:
            return
        names = ", ".join(changed) or "first"
        about = names if len(names) <= NAMES_MAX else f"{names[:NAMES_MAX]}…"
        try:
            await audit.append(AuditEntry("config.change", Outcome.DONE, os.geteuid(), OWN, OWN, document=about))
            self._file.save(_Kept(self._now))
        except (AuditUnavailable, StateUnavailable) as error:
            log.warning("no row for changed settings (%s): %s", about, error)


def _values(config: Config) -> Iterable[tuple[str, str]]:
    for title, section in sections_of(config):
        for name in section.__struct_fields__:
            yield f"{title}.{name}", repr(getattr(section, name))
