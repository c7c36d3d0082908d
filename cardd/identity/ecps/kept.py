"""e-CPS sessions that outlive the daemon: what is needed to resume them, and where it is kept.

The refresh token lies in the OS secrets, encrypted (rule 9); beside it, in the state directory, only whose session it
was. Where no keyring encrypts, nothing is kept, and a session ends with the daemon.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from cardd.core.sessions import Session
from cardd.errors import SecretStoreUnavailable
from cardd.model import Caller, CallerKind, Identity, Peer, Situation
from cardd.ports import SecretStore, Store
from cardd.secret import Secret

STORE = "ecps-sessions"


@dataclass(frozen=True, slots=True)
class KeptSession:
    """One session: the fingerprint of its token, its caller and OS user, whom it stands for and as what, since when."""

    id: str
    token: str
    caller: Caller
    national_id: str
    opened_at: datetime
    situation: str | None

    def session(self, method: str, identity: Identity, situations: tuple[Situation, ...]) -> Session:
        """The session anew, for ``Sessions.restore``."""
        made = Session(
            id=self.id,
            token=self.token,
            caller=self.caller,
            method=method,
            identity=identity,
            card=None,
            credentials={},
            opened_at=self.opened_at,
            started=0.0,
            used=0.0,
            situations=situations,
        )
        made.situate(next((one for one in situations if one.id == self.situation), None))
        return made


class KeptSessions:
    """Keeps, gives back and forgets them."""

    def __init__(self, store: Store, secrets: SecretStore) -> None:
        self._store = store
        self._secrets = secrets

    async def keep(self, session: Session, refresh_token: Secret) -> None:
        """Keep it, or its newer refresh token; nothing happens where there is no keyring that encrypts."""
        with refresh_token:
            try:
                await self._secrets.set(_name(session.id), refresh_token)
            except SecretStoreUnavailable:
                return
        caller = replace(session.caller, peer=Peer(session.caller.peer.uid))
        record: dict[str, object] = {
            "token": session.token,
            "caller": asdict(caller),
            "national_id": session.identity.national_id,
            "opened_at": session.opened_at.isoformat(),
            "situation": session.situation.id if session.situation else None,
        }
        self._save(self._records() | {session.id: record})

    def situated(self, session: Session) -> None:
        """Another situation was picked."""
        records = self._records()
        if session.id in records and session.situation is not None:
            records[session.id]["situation"] = session.situation.id
            self._save(records)

    async def take(self, kept: KeptSession) -> Secret | None:
        """Its refresh token; None when it is gone, or cannot be had."""
        with contextlib.suppress(SecretStoreUnavailable):
            return await self._secrets.get(_name(kept.id))
        return None

    async def forget(self, identifier: str) -> None:
        """It ended."""
        records = self._records()
        if records.pop(identifier, None) is not None:
            self._save(records)
            with contextlib.suppress(SecretStoreUnavailable):
                await self._secrets.delete(_name(identifier))

    def all(self) -> list[KeptSession]:
        """Those that a daemon before this one kept. Raises StateUnavailable."""
        return [_read(identifier, record) for identifier, record in self._records().items()]

    def _records(self) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = json.loads(self._store.load(STORE) or "{}")
        return found

    def _save(self, records: dict[str, dict[str, object]]) -> None:
        self._store.save(STORE, json.dumps(records))


def _read(identifier: str, record: dict[str, object]) -> KeptSession:
    caller = record["caller"]
    assert isinstance(caller, dict)  # noqa: S101 - as it was saved
    peer = Peer(int(caller["peer"]["uid"]))
    known = Caller(CallerKind(caller["kind"]), caller["id"], caller["name"], caller["origin"], peer)
    since = datetime.fromisoformat(str(record["opened_at"]))
    situation = record.get("situation")
    return KeptSession(
        identifier,
        str(record["token"]),
        known,
        str(record["national_id"]),
        since,
        situation if isinstance(situation, str) else None,
    )


def _name(identifier: str) -> str:
    return f"ecps-{identifier}"
