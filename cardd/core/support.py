"""One-time codes of support: what some acts demand besides the right to do them, on a workstation that is enrolled.

A code opens nothing by itself: who may not do something without a code may not do it with one, and no code stands for
a PIN or an e-CPS. Each time step serves once. Wrong codes lock whoever gave them for a while, longer each time: a
program of a user, or the administrators (root and the service's own user) together. All of it outlives the daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from cardd.backoff import doubled
from cardd.config import Support as SupportRules
from cardd.core import totp
from cardd.core.owners import is_administrator
from cardd.core.recording import entry_of
from cardd.core.state_file import StateFile
from cardd.errors import (
    CarddError,
    SecretStoreUnavailable,
    SupportCodeError,
    SupportCodeLocked,
    SupportCodeReplayed,
    SupportCodeRequired,
    SupportCodesOff,
    SupportCodeWrong,
    SupportNotEnrolled,
    SupportSecretFixed,
)
from cardd.model import Caller, Outcome
from cardd.ports import AuditLog, Clock, SecretStore, Store
from cardd.secret import Secret, fingerprint
from cardd.values import Value, field, replace

STORE = "support"
SECRET = "support-totp"  # noqa: S105 - the name of the entry
ENROLMENT_LIFETIME = 600.0
FREE_MISTAKES = 5
LOCK_FIRST = 60.0
LOCK_MAX = 86400.0
USER_MISTAKES = 50  # of all programs of one user: who calls under ever new names is not let guess for ever
USER_LOCK_MAX = 600.0  # short: one program of a user's may lock all of them
COUNTS_MAX = 256


class Privilege(StrEnum):
    """What demands a code; the audit row's action is ``support.`` and this."""

    UNPAIR_OTHERS = "unpair_others"
    UNLOCK = "unlock"
    TRACE_FULL = "trace_full"
    ENROL = "enrol"
    CONFIRM = "confirm"
    REMOVE = "remove"


class Enrolment(Value):
    """An enrolment that waits for its first code; ``address`` (``otpauth://…``) holds the secret, told this once."""

    address: str
    expires_at: datetime


class Standing(Value):
    """How the workstation stands: whether codes are demanded, can be checked, and for how many seconds none is."""

    demanded: bool
    enrolled: bool
    locked: int


class _Count(Value):
    """Wrong codes in a row; ``locked_until`` is in seconds since 1970."""

    mistakes: int = 0
    locked_until: float = 0.0


class _Record(Value):
    """What outlives the daemon, in the clear: nothing here helps to make a code.

    ``secret`` is the fingerprint of the secret that we enrolled, ``step`` the last one that served. ``mistakes`` and
    ``locked_until`` are the administrators' count, ``counts`` everybody else's.
    """

    secret: str = ""
    step: int = 0
    mistakes: int = 0
    locked_until: float = 0.0
    counts: dict[str, _Count] = field(default_factory=dict)

    def count(self, key: str) -> _Count:
        """Return the count of this key."""
        return self.counts.get(key, _Count()) if key else _Count(self.mistakes, self.locked_until)

    def counted(self, key: str, count: _Count | None) -> _Record:
        """Return the record with this count, or without one. Of too many, the one that locks least is forgotten."""
        if not key:
            found = count or _Count()
            return replace(self, mistakes=found.mistakes, locked_until=found.locked_until)
        counts = {name: kept for name, kept in self.counts.items() if name != key}
        if len(counts) >= COUNTS_MAX:
            del counts[min(counts, key=lambda name: counts[name].locked_until)]
        return replace(self, counts={**counts, key: count} if count else counts)


class _Limit(NamedTuple):
    """How many wrong codes a key may give before it is locked, and for how long at most; "" is the administrators'."""

    key: str
    free: int
    longest: float

    def seconds(self, mistakes: int) -> float:
        """Return what so many wrong codes in a row cost."""
        return doubled(mistakes - self.free, LOCK_FIRST, self.longest) if mistakes >= self.free else 0.0


def _limits(caller: Caller) -> tuple[_Limit, ...]:
    """Return the counts that this caller's wrong codes run up."""
    uid = caller.peer.uid
    if is_administrator(uid):
        return (_Limit("", FREE_MISTAKES, LOCK_MAX),)
    program = fingerprint(caller.peer.program or "")
    return _Limit(f"{uid} {program}", FREE_MISTAKES, LOCK_MAX), _Limit(f"{uid}", USER_MISTAKES, USER_LOCK_MAX)


class SupportCodes:
    """Enrols the workstation and checks codes. ``demanded`` is ``[support] totp``, ``label`` its name in the app."""

    def __init__(
        self, store: Store, secrets: SecretStore, audit: AuditLog, clock: Clock, rules: SupportRules, *, host: str
    ) -> None:
        self._file = StateFile(store, STORE, _Record)
        self._secrets = secrets
        self._audit = audit
        self._clock = clock
        self._demanded = rules.totp
        self._label = rules.label or host
        self._pending: tuple[Secret, datetime] | None = None

    async def demand(self, privilege: Privilege, caller: Caller, code: str | None, about: str | None = None) -> None:
        """Return when the act may be done: the code is good, or none is demanded here. Recorded, with ``about``.

        Raises SupportNotEnrolled, SupportCodeRequired, SupportCodeWrong, SupportCodeReplayed, SupportCodeLocked,
        SupportSecretUnreadable, SecretStoreUnavailable, StateUnavailable, AuditUnavailable.
        """
        if not self._demanded:
            async with self._recorded(privilege, caller, about):
                return  # the record is all that there is to it
        with await self._secret() as secret:
            given = self._given(code, caller)
            async with self._recorded(privilege, caller, about):
                self._redeem(secret, given, caller)

    async def enrol(self, caller: Caller, code: str | None) -> Enrolment:
        """Begin to enrol; where the workstation is enrolled already, ``code`` is one of the secret that is replaced.

        Raises SupportCodesOff, SupportSecretFixed, SecretStoreUnavailable where nothing keeps the secret encrypted,
        and as ``demand``.
        """
        if not self._demanded:
            raise SupportCodesOff
        before = await self._secrets.get(SECRET)
        if before is not None:
            with before:
                self._refuse_fixed(before)
            await self.demand(Privilege.ENROL, caller, code)
        secret = totp.new_secret()
        self._forget_pending()
        expires_at = self._clock.now() + timedelta(seconds=ENROLMENT_LIFETIME)
        self._pending = secret, expires_at
        return Enrolment(totp.address(secret, self._label), expires_at)

    async def confirm(self, caller: Caller, code: str | None) -> None:
        """End the enrolment with the first code that the phone shows: the secret is kept from now on.

        Raises SupportNotEnrolled when none waits, SupportCodeRequired, SupportCodeWrong, SecretStoreUnavailable,
        StateUnavailable, AuditUnavailable.
        """
        if self._pending is None or self._clock.now() >= self._pending[1]:
            self._forget_pending()
            raise SupportNotEnrolled
        if code is None:
            raise SupportCodeRequired
        secret = self._pending[0]
        async with self._recorded(Privilege.CONFIRM, caller):
            step = totp.step_of(secret, code, self._clock.now())
            if step is None:
                raise SupportCodeWrong
            self._pending = None  # from here on nobody else confirms or replaces it
            with secret:
                await self._secrets.set(SECRET, secret)
                self._save(_Record(_mark(secret), step))

    async def remove(self, caller: Caller, code: str | None) -> None:
        """Forget the secret. Raises SupportNotEnrolled, SupportSecretFixed, and as ``demand``."""
        with await self._secret() as secret:
            given = self._given(code, caller) if self._demanded else None
            async with self._recorded(Privilege.REMOVE, caller):
                if given is not None:
                    self._redeem(secret, given, caller)
                with suppress(SecretStoreUnavailable):  # a credential needs no keyring
                    await self._secrets.delete(SECRET)
                if await self._secrets.get(SECRET) is not None:
                    raise SupportSecretFixed
        self._save(replace(self._load(), secret=""))

    async def standing(self, caller: Caller) -> Standing:
        """Return how the workstation stands for this caller. Raises StateUnavailable."""
        enrolled = False
        with suppress(SecretStoreUnavailable, SupportNotEnrolled), await self._secret():
            enrolled = True
        return Standing(self._demanded, enrolled, self._lock_left(self._load(), caller))

    async def _secret(self) -> Secret:
        found = await self._secrets.get(SECRET)
        if found is None:
            raise SupportNotEnrolled
        return found

    def _given(self, code: str | None, caller: Caller) -> str:
        if code is None:
            self._refuse_while_locked(self._load(), caller)
            raise SupportCodeRequired
        return code

    def _redeem(self, secret: Secret, code: str, caller: Caller) -> None:
        """Use the code up. Nothing is awaited in here: of two requests with the same code one is refused."""
        record = self._load()
        self._refuse_while_locked(record, caller)
        now = self._clock.now()
        step = totp.step_of(secret, code, now)
        if step is None:
            for limit in _limits(caller):
                mistakes = record.count(limit.key).mistakes + 1
                record = record.counted(limit.key, _Count(mistakes, now.timestamp() + limit.seconds(mistakes)))
            self._save(record)
            raise SupportCodeWrong
        if step <= record.step:
            raise SupportCodeReplayed(retry_after=max(1, (record.step + 1) * totp.STEP - int(now.timestamp())))
        for limit in _limits(caller):
            record = record.counted(limit.key, None)
        self._save(replace(record, step=step))

    def _refuse_while_locked(self, record: _Record, caller: Caller) -> None:
        left = self._lock_left(record, caller)
        if left:
            raise SupportCodeLocked(retry_after=left)

    def _lock_left(self, record: _Record, caller: Caller) -> int:
        """Seconds; a clock that was wrong makes a lock no longer than it was meant to be."""
        now, left = self._clock.now().timestamp(), 0.0
        for limit in _limits(caller):
            count = record.count(limit.key)
            left = max(left, min(count.locked_until - now, limit.seconds(count.mistakes)))
        return int(left) + 1 if left > 0 else 0

    def _refuse_fixed(self, secret: Secret) -> None:
        """What we did not enrol is a credential: it comes before the keyring, where a new one would never be read."""
        if _mark(secret) != self._load().secret:
            raise SupportSecretFixed

    @asynccontextmanager
    async def _recorded(self, privilege: Privilege, caller: Caller, about: str | None = None) -> AsyncIterator[None]:
        """A row for each attempt, on disk before the act; the code is in none."""
        entry = entry_of(caller, f"support.{privilege.value}", document=about)
        try:
            yield
        except CarddError as error:
            outcome = Outcome.REFUSED if isinstance(error, SupportCodeError) else Outcome.FAILED
            await self._audit.append(replace(entry, outcome=outcome, code=error.code))
            raise
        await self._audit.append(entry)

    def _forget_pending(self) -> None:
        if self._pending:
            self._pending[0].wipe()
            self._pending = None

    def _load(self) -> _Record:
        return self._file.load() or _Record()

    def _save(self, record: _Record) -> None:
        self._file.save(record)


def _mark(secret: Secret) -> str:
    with secret.lent() as raw:
        return fingerprint(raw.decode("ascii", "replace"))
