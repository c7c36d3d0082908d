"""What outlives the daemon: resumable sessions, and the national id that a user let be kept.

A session's refresh token lies in the OS secrets, encrypted (rule 9); the state directory only says whose session it
was. Where no keyring encrypts, nothing is kept, and a session ends with the daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from cardd.core.session import Session
from cardd.core.state_file import StateFile
from cardd.errors import SecretStoreUnavailable, StateUnavailable
from cardd.model import Caller, Identity, Peer
from cardd.ports import SecretStore, Store
from cardd.secret import Secret
from cardd.values import Value, replace

SESSIONS, HINTS = "ecps-sessions", "login-hints"  # the documents


class ResumableSession(Value):
    """One session: the fingerprint of its token, its caller and OS user, whom it stands for and as what, since when."""

    id: str
    token: str
    caller: Caller
    national_id: str
    opened_at: datetime
    situation: str | None

    def session(self, method: str) -> Session:
        """Return the session for ``Sessions.restore``: who it is for, and nothing that only the provider knows."""
        return Session(
            id=self.id,
            token=self.token,
            caller=self.caller,
            method=method,
            identity=Identity(self.national_id, "", "", is_declared=True),
            card=None,
            credentials={},
            opened_at=self.opened_at,
            started=0.0,
            used=0.0,
        )


class ResumableSessions:
    """Keeps resumable sessions, gives them back and forgets them.

    The record is there before the secret and goes with it: a secret without a record would never be found again.
    """

    def __init__(self, store: Store, secrets: SecretStore) -> None:
        self._file = StateFile(store, SESSIONS, dict[str, ResumableSession])
        self._secrets = secrets
        self._writing: dict[str, asyncio.Future[bool]] = {}

    async def keep(self, session: Session, refresh_token: Secret) -> None:
        """Keep it, or its newer refresh token. Where that cannot be, the session just ends with the daemon."""
        with contextlib.suppress(StateUnavailable):
            records, record = self._records(), _record(session)
            is_new = session.id not in records
            if records.get(session.id) != record:
                self._file.save(records | {session.id: record})
            if not await self.renew(session.id, refresh_token) and is_new:
                self._drop(session.id)

    async def renew(self, identifier: str, refresh_token: Secret) -> bool:
        """Put a newer refresh token in the other's place; False where there is no keyring that encrypts.

        Once begun it is written to its end, whatever becomes of the caller: ``forget`` waits for that.
        """
        self._writing[identifier] = writing = asyncio.ensure_future(self._write(identifier, refresh_token))
        return await asyncio.shield(writing)

    def situated(self, session: Session) -> None:
        """Keep the situation that was picked."""
        with contextlib.suppress(StateUnavailable):
            records = self._records()
            if session.id in records and session.situation is not None:
                record = replace(records[session.id], situation=session.situation.id)
                self._file.save(records | {session.id: record})

    def has(self, identifier: str) -> bool:
        """Return whether the next daemon can go on with it."""
        with contextlib.suppress(StateUnavailable):
            return identifier in self._records()
        return False

    async def can_keep(self) -> bool:
        """Return whether there is a keyring that encrypts, and is open."""
        try:
            await self._secrets.get(_name("probe"))
        except SecretStoreUnavailable:
            return False
        return True

    async def take(self, record: ResumableSession) -> Secret | None:
        """Return its refresh token; None when it is gone. Raises SecretStoreUnavailable."""
        return await self._secrets.get(_name(record.id))

    async def forget(self, identifier: str) -> None:
        """Forget a session that ended; its secret goes even where the record cannot.

        Raises StateUnavailable, SecretStoreUnavailable.
        """
        if not self.has(identifier):
            return
        try:
            self._drop(identifier)
        finally:
            if writing := self._writing.pop(identifier, None):
                await asyncio.wait((writing,))
            await self._secrets.delete(_name(identifier))

    def all(self) -> list[ResumableSession]:
        """Return those that a daemon before this one kept. Raises StateUnavailable."""
        return list(self._records().values())

    async def settle(self) -> None:
        """Return when what is being written is written."""
        if self._writing:
            await asyncio.wait(self._writing.values())

    async def _write(self, identifier: str, refresh_token: Secret) -> bool:
        with refresh_token:
            try:
                await self._secrets.set(_name(identifier), refresh_token)
            except SecretStoreUnavailable:
                return False
        return True

    def _drop(self, identifier: str) -> None:
        records = self._records()
        if records.pop(identifier, None) is not None:
            self._file.save(records)

    def _records(self) -> dict[str, ResumableSession]:
        return self._file.load() or {}


class LoginHints:
    """Whose mobile to ask when a request does not say: each OS user's own national id, kept when that user agreed.

    Every method raises StateUnavailable, StateDamaged.
    """

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, HINTS, dict[str, str])

    def of(self, uid: int) -> str | None:
        """Return the one that this OS user had kept."""
        return self._kept().get(str(uid))

    def keep(self, uid: int, national_id: str) -> None:
        """Keep it in the place of any other."""
        self._file.save(self._kept() | {str(uid): national_id})

    def forget(self, uid: int) -> None:
        """Keep none."""
        kept = self._kept()
        if kept.pop(str(uid), None) is not None:
            self._file.save(kept)

    def _kept(self) -> dict[str, str]:
        return self._file.load() or {}


def _record(session: Session) -> ResumableSession:
    return ResumableSession(
        id=session.id,
        token=session.token,
        caller=replace(session.caller, peer=Peer(session.caller.peer.uid)),
        national_id=session.identity.national_id,
        opened_at=session.opened_at,
        situation=session.situation.id if session.situation else None,
    )


def _name(identifier: str) -> str:
    return f"ecps-{identifier}"
