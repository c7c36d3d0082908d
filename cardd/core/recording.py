"""What goes into the audit log: the acts that callers ask for, those that come to nothing too, and patients unnamed."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from cardd.core.state_file import StateFile
from cardd.errors import AuditUnavailable, CarddError, ConsentError, PinError, StateUnavailable
from cardd.model import AuditEntry, Caller, Outcome
from cardd.ports import AuditLog, Store

STORE = "pseudonyms"
KEY_SIZE = 32
LENGTH = 16  # hexadecimal digits of a pseudonym


def entry_of(
    caller: Caller,
    action: str,
    *,
    session: str | None = None,
    digest: bytes | None = None,
    document: str | None = None,
    certificate: str | None = None,
    consent: str | None = None,
) -> AuditEntry:
    """Return the entry of an act that this caller asked for and that was done; ``session`` is its identifier."""
    return AuditEntry(
        action=action,
        outcome=Outcome.DONE,
        uid=caller.peer.uid,
        caller=caller.id,
        caller_name=caller.name,
        session=session,
        digest=digest.hex() if digest is not None else None,
        document=document,
        certificate=certificate,
        consent=consent,
    )


@asynccontextmanager
async def recorded(audit: AuditLog, *entries: AuditEntry) -> AsyncIterator[None]:
    """Give the acts inside an entry each when they fail, or were refused by a person.

    When even that fails, the first error is the one to tell.
    """
    try:
        yield
    except CarddError as error:
        outcome = Outcome.REFUSED if isinstance(error, ConsentError | PinError) else Outcome.FAILED
        with contextlib.suppress(AuditUnavailable, StateUnavailable):
            for entry in entries:
                await audit.append(replace(entry, outcome=outcome, code=error.code))
        raise


@dataclass(frozen=True, slots=True)
class _Kept:
    """The key, in hexadecimal."""

    key: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no key."""
        if len(bytes.fromhex(self.key)) != KEY_SIZE:
            raise ValueError("key")


class Pseudonyms:
    """Names for patients: the same number is the same pseudonym on this workstation, and nobody can tell the number.

    The numbers are few enough to be tried one by one, so that a bare hash would hide nothing: the hash is keyed, and
    the key, made with the first pseudonym, stays in the state directory. Who exports the log exports no patient.
    """

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, STORE, _Kept)
        self._key: bytes | None = None

    def of(self, number: str) -> str:
        """Return the pseudonym of this number. Raises StateUnavailable, StateDamaged."""
        if self._key is None:
            self._key = self._kept() or self._new()
        return hmac.new(self._key, number.encode(), hashlib.sha256).hexdigest()[:LENGTH]

    def _kept(self) -> bytes | None:
        kept = self._file.load()
        return bytes.fromhex(kept.key) if kept else None

    def _new(self) -> bytes:
        key = secrets.token_bytes(KEY_SIZE)
        self._file.save(_Kept(key.hex()))
        return key
