"""One-time codes of support: what some acts demand besides the right to do them, on a workstation that is enrolled.

A code opens nothing by itself: who may not do something without a code may not do it with one, and no code stands for
a PIN or an e-CPS. Each time step serves once; wrong codes lock the workstation for a while, longer each time; both
outlive the daemon.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cardd.backoff import doubled
from cardd.config import Support as SupportRules
from cardd.core import totp
from cardd.core.recording import entry_of
from cardd.core.state_file import StateFile
from cardd.core.tokens import fingerprint
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
from cardd.secret import Secret

STORE = "support"
SECRET = "support-totp"  # noqa: S105 - the name of the entry
ENROLMENT_LIFETIME = 600.0
FREE_MISTAKES = 5
LOCK_FIRST = 60.0
LOCK_MAX = 86400.0


class Privilege(StrEnum):
    """What demands a code; the audit row's action is ``support.`` and this."""

    UNPAIR_OTHERS = "unpair_others"
    UNLOCK = "unlock"
    TRACE_FULL = "trace_full"
    ENROL = "enrol"
    CONFIRM = "confirm"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An enrolment that waits for its first code; ``address`` (``otpauth://…``) holds the secret, told this once."""

    address: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How the workstation stands: whether codes are demanded, can be checked, and for how many seconds none is."""

    demanded: bool
    enrolled: bool
    locked: int


@dataclass(frozen=True, slots=True)
class _Record:
    """What outlives the daemon, in the clear: nothing here helps to make a code.

    ``secret`` is the fingerprint of the secret that we enrolled, ``step`` the last one that served, ``locked_until``
    seconds since 1970.
    """

    secret: str = ""
    step: int = 0
    mistakes: int = 0
    locked_until: float = 0.0


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
            given = self._given(code)
            async with self._recorded(privilege, caller, about):
                self._redeem(secret, given)

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
            given = self._given(code) if self._demanded else None
            async with self._recorded(Privilege.REMOVE, caller):
                if given is not None:
                    self._redeem(secret, given)
                with suppress(SecretStoreUnavailable):  # a credential needs no keyring
                    await self._secrets.delete(SECRET)
                if await self._secrets.get(SECRET) is not None:
                    raise SupportSecretFixed
        self._save(replace(self._load(), secret=""))

    async def standing(self) -> Standing:
        """How the workstation stands. Raises StateUnavailable."""
        enrolled = False
        with suppress(SecretStoreUnavailable, SupportNotEnrolled), await self._secret():
            enrolled = True
        return Standing(self._demanded, enrolled, self._lock_left(self._load()))

    async def _secret(self) -> Secret:
        found = await self._secrets.get(SECRET)
        if found is None:
            raise SupportNotEnrolled
        return found

    def _given(self, code: str | None) -> str:
        if code is None:
            self._refuse_while_locked(self._load())
            raise SupportCodeRequired
        return code

    def _redeem(self, secret: Secret, code: str) -> None:
        """Use the code up. Nothing is awaited in here: of two requests with the same code one is refused."""
        record = self._load()
        self._refuse_while_locked(record)
        now = self._clock.now()
        step = totp.step_of(secret, code, now)
        if step is None:
            mistakes = record.mistakes + 1
            self._save(replace(record, mistakes=mistakes, locked_until=now.timestamp() + _lock(mistakes)))
            raise SupportCodeWrong
        if step <= record.step:
            raise SupportCodeReplayed(retry_after=max(1, (record.step + 1) * totp.STEP - int(now.timestamp())))
        self._save(_Record(record.secret, step))

    def _refuse_while_locked(self, record: _Record) -> None:
        left = self._lock_left(record)
        if left:
            raise SupportCodeLocked(retry_after=left)

    def _lock_left(self, record: _Record) -> int:
        """Seconds; a clock that was wrong makes a lock no longer than it was meant to be."""
        left = min(record.locked_until - self._clock.now().timestamp(), _lock(record.mistakes))
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


def _lock(mistakes: int) -> float:
    """Seconds that so many wrong codes in a row cost."""
    if mistakes < FREE_MISTAKES:
        return 0.0
    return doubled(mistakes - FREE_MISTAKES, LOCK_FIRST, LOCK_MAX)


def _mark(secret: Secret) -> str:
    with secret.lent() as raw:
        return fingerprint(raw.decode("ascii", "replace"))
