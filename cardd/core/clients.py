"""Who may call: paired programs and allowed web origins.

A program is paired by the user, in a dialog that shows its name, its executable, the OS user and a 6-digit code that
the program shows too; it then has a secret of 256 bits, kept here as a hash. A web page is known by its Origin, which
the configuration or the user allowed, and counts as a page's only when a browser sends it. Either belongs to one OS
user.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from cardd.core.dialog_lines import DialogLines, PolledPresence, caller_of, waited_for_by
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.recording import append_if_possible
from cardd.core.state_file import StateFile
from cardd.errors import (
    CarddError,
    ClientLocked,
    ClientNotFound,
    ClientUnknown,
    ConsentTimeout,
    NotABrowser,
    PairingNotFound,
    PairingRefused,
    PermissionMissing,
    StateUnavailable,
    TooManyRequests,
)
from cardd.model import AuditEntry, Caller, CallerKey, CallerKind, Choice, Outcome, Peer, Question, shown
from cardd.ports import AuditLog, Browsers, Clock, Store
from cardd.secret import fingerprint, new_id, new_token, proof, seal

STORE = "clients"
PSC_TOKEN = "psc_token"  # noqa: S105 - the name of a permission
SESSIONS = "sessions"  # to see whom all sessions of the OS user stand for
PAIRING_LIFETIME = 300.0
Key = TypeVar("Key")
Entry = TypeVar("Entry")
UNHEARD = 30.0  # seconds after which a program has given up a pairing that it does not ask about


@dataclass(frozen=True, slots=True)
class Program:
    """One paired program, as it is kept: no secret, only its hash."""

    id: str
    name: str
    vendor: str
    software_id: str
    uid: int
    secret: str
    paired_at: str
    permissions: tuple[str, ...] = ()
    is_locked: bool = False


@dataclass(frozen=True, slots=True)
class RememberedOrigin:
    """One web origin that a user allowed for good."""

    origin: str
    uid: int
    allowed_at: str


@dataclass(frozen=True, slots=True)
class _Kept:
    """What outlives the daemon."""

    programs: list[Program] = field(default_factory=list)
    origins: list[RememberedOrigin] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PairingRequest:
    """What a program says of itself, and what it wants beside logins and signatures (``PSC_TOKEN``, ``SESSIONS``)."""

    name: str
    vendor: str
    software_id: str
    permissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paired:
    """A pairing that the user approved; the only place where the secret is whole."""

    client_id: str
    client_secret: str


@dataclass(eq=False, slots=True)
class Pairing:
    """One pairing under way until ``expires_at``; ``code`` is shown by the dialog and by the program.

    ``polled`` is the presence of a program that does not wait for the answer but comes back for it.
    """

    id: str
    code: str
    uid: int
    expires_at: datetime
    answer: asyncio.Task[Paired]
    polled: PolledPresence | None


class Clients(Part):
    """Pairs programs, allows origins, and tells who a secret or an Origin belongs to."""

    def __init__(
        self,
        store: Store,
        dialogs: DialogLines,
        clock: Clock,
        lifecycle: Lifecycle,
        *,
        allowed_origins: frozenset[str],
    ) -> None:
        self.unheard = UNHEARD
        self._file = StateFile(store, STORE, _Kept)
        self._dialogs = dialogs
        self._clock = clock
        self._lifecycle = lifecycle
        self._configured = allowed_origins
        self._programs: dict[str, Program] = {}
        self._origins: dict[tuple[str, int], RememberedOrigin] = {}
        self._once: set[tuple[str, int]] = set()
        self._refused: set[tuple[str, int]] = set()
        self._asked: set[int] = set()
        self._pairings: dict[str, Pairing] = {}
        self._load()

    # --- programs ---

    def pair(self, request: PairingRequest, peer: Peer, *, polls: bool = False) -> Pairing:
        """Ask the user to accept a program; ``Pairing.answer`` ends with the secret or with PairingRefused.

        ``polls`` says that the program comes back for the answer. One pairing at a time for one user. Raises
        TooManyRequests, RefusedTooOften.
        """
        if any(p.uid == peer.uid and not p.answer.done() for p in self._pairings.values()):
            raise TooManyRequests(retry_after=5)
        code = f"{secrets.randbelow(1_000_000):06d}"
        said = {"name": request.name, "vendor": request.vendor, "software_id": request.software_id}
        params: dict[str, str | int] = {**said, "program": peer.program or "", "code": code}
        params |= dict.fromkeys(request.permissions, "")
        if any(_looks(program.name) == _looks(request.name) for program in self.programs(peer.uid)):
            params["namesake"] = ""
        question = Question("pair", peer.uid, params)
        self._dialogs.ensure_askable(caller_of(question))
        expires_at = self._clock.now() + timedelta(seconds=question.timeout)
        polled = PolledPresence(self.unheard) if polls else None
        with waited_for_by(polled) if polled else contextlib.nullcontext():
            answer = asyncio.ensure_future(self._ask(request, peer, question))
        pairing = Pairing(new_id(), code, peer.uid, expires_at, answer, polled)
        self._pairings[pairing.id] = pairing
        pairing.answer.add_done_callback(lambda _: self._forget_later(pairing))
        return pairing

    def pairing(self, identifier: str, peer: Peer) -> Pairing:
        """A pairing under way, or one that ended a short while ago. Raises PairingNotFound."""
        pairing = self._pairings.get(identifier)
        if pairing is None or pairing.uid != peer.uid:
            raise PairingNotFound
        if pairing.polled and not pairing.answer.done():
            pairing.polled.heard()
        return pairing

    def program(self, secret: str, peer: Peer) -> Caller:
        """The paired program with this secret. Raises ClientUnknown, also for another user's program; ClientLocked."""
        program = self._programs.get(fingerprint(secret))
        if program is None or program.uid != peer.uid:
            raise ClientUnknown
        if program.is_locked:
            raise ClientLocked
        return _caller(program, peer, seal(secret))

    def check_permission(self, caller: Caller, permission: str) -> None:
        """Raises PermissionMissing for a caller whose pairing was not approved for this; a page never is."""
        if not self.is_permitted(caller, permission):
            raise PermissionMissing(permission=permission)

    def is_permitted(self, caller: Caller, permission: str) -> bool:
        """Return whether the caller's pairing was approved for this."""
        program = next((found for found in self.programs(caller.peer.uid) if found.id == caller.id), None)
        return program is not None and permission in program.permissions

    def prove(self, client: str, challenge: str, address: str, peer: Peer) -> str:
        """The daemon's proof for one of this user's programs (``tokens.proof``). Raises ClientUnknown."""
        program = next((found for found in self.programs(peer.uid) if found.id == client), None)
        if program is None:
            raise ClientUnknown
        return proof(program.secret, challenge, address)

    def programs(self, uid: int) -> list[Program]:
        """The paired programs of one OS user."""
        return [program for program in self._programs.values() if program.uid == uid]

    # --- origins ---

    def origin(self, origin: str, peer: Peer) -> Caller | None:
        """The page's caller when its origin is allowed for this user, else None."""
        if origin not in self._configured and not self._is_remembered(origin, peer.uid):
            return None
        return Caller(CallerKind.ORIGIN, origin, origin, origin, peer)

    async def ask_origin(self, origin: str, peer: Peer) -> Caller:
        """Ask the user to allow a web origin, once (until the daemon stops) or for good.

        One such dialog at a time for one user, and none again for an origin that was refused or left without an
        answer. Raises PairingRefused, ConsentTimeout, RefusedTooOften, TooManyRequests.
        """
        if self.is_refused(origin, peer):
            raise PairingRefused
        if peer.uid in self._asked:
            raise TooManyRequests(retry_after=5)
        caller = Caller(CallerKind.ORIGIN, origin, origin, origin, peer)
        self._asked.add(peer.uid)
        try:
            choice = await self._dialogs.confirm(Question("origin", peer.uid, {"origin": origin}, third=Choice.ALWAYS))
        except ConsentTimeout as error:
            self._refuse(caller, error)
            raise
        finally:
            self._asked.discard(peer.uid)
        if choice is Choice.NO:
            self._refuse(caller, PairingRefused())
            raise PairingRefused
        if choice is Choice.ALWAYS:
            remembered = RememberedOrigin(origin, peer.uid, self._now())
            self._let_in(self._origins, (origin, peer.uid), remembered)
        else:
            self._once.add((origin, peer.uid))
        self._lifecycle.client_let_in(caller, "origin.allow", choice.value)
        return caller

    def _refuse(self, page: Caller, error: CarddError) -> None:
        self._refused.add((page.origin, page.peer.uid))
        self._lifecycle.client_refused(page, "origin.allow", error)

    def is_refused(self, origin: str, peer: Peer) -> bool:
        """Return whether this user has refused the origin since the daemon started."""
        return (origin, peer.uid) in self._refused

    def origins(self, uid: int) -> list[RememberedOrigin]:
        """The origins that this user remembered."""
        return [entry for entry in self._origins.values() if entry.uid == uid]

    # --- both ---

    def owner(self, identifier: str) -> int:
        """The OS user whose program, or remembered origin, this is: for root. Raises ClientNotFound."""
        owned = [(program.id, program.uid) for program in self._programs.values()]
        for name, uid in (*owned, *self._origins, *self._once):
            if name == identifier:
                return uid
        raise ClientNotFound

    def remove(self, identifier: str, uid: int) -> None:
        """Unpair a program, by its identifier, or forget an origin. Raises ClientNotFound."""
        program = next((p for p in self.programs(uid) if p.id == identifier), None)
        if program:
            del self._programs[program.secret]
        elif self._is_remembered(identifier, uid):
            self._origins.pop((identifier, uid), None)
            self._once.discard((identifier, uid))
        else:
            raise ClientNotFound
        try:
            self._save()
        finally:  # it is kept out at once, and until the next start where that cannot be written down
            self._lifecycle.client_shut_out(CallerKey(uid, identifier), "client_removed")

    def paired(self, identifier: str, uid: int) -> Program:
        """Return one of this user's programs. Raises ClientNotFound, also for an origin."""
        program = next((p for p in self.programs(uid) if p.id == identifier), None)
        if program is None:
            raise ClientNotFound
        return program

    def lock(self, identifier: str, uid: int, *, locked: bool) -> None:
        """Keep a program out until it is unlocked; it stays paired. Raises ClientNotFound, also for an origin."""
        program = self.paired(identifier, uid)
        changed = replace(program, is_locked=locked)
        if not locked:
            self._let_in(self._programs, program.secret, changed)
            self._lifecycle.client_let_in(_caller(program, Peer(uid)), "client.unlock", None)
            return
        self._programs[program.secret] = changed
        try:
            self._save()
        finally:  # as at a removal
            self._lifecycle.client_shut_out(CallerKey(uid, identifier), "client_locked")

    async def stop(self) -> None:
        """Give up the pairings that still wait for the user."""
        waiting = [pairing.answer for pairing in self._pairings.values()]
        for answer in waiting:
            answer.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def _is_remembered(self, origin: str, uid: int) -> bool:
        return (origin, uid) in self._origins or (origin, uid) in self._once

    async def _ask(self, request: PairingRequest, peer: Peer, question: Question) -> Paired:
        asking = Caller(CallerKind.PROGRAM, f"local:{peer.uid}", request.name, "", peer)
        try:
            choice = await self._dialogs.confirm(question)
        except CarddError as error:
            self._lifecycle.client_refused(asking, "client.pair", error)
            raise
        if choice is Choice.NO:
            self._lifecycle.client_refused(asking, "client.pair", PairingRefused())
            raise PairingRefused
        identifier = new_id()
        secret = f"{identifier}.{new_token()}"
        program = Program(
            identifier,
            request.name,
            request.vendor,
            request.software_id,
            peer.uid,
            fingerprint(secret),
            self._now(),
            request.permissions,
        )
        self._let_in(self._programs, program.secret, program)
        self._lifecycle.client_let_in(_caller(program, peer), "client.pair", "dialog")
        return Paired(program.id, secret)

    def _forget_later(self, pairing: Pairing) -> None:
        if pairing.polled:
            pairing.polled.end()
        if not pairing.answer.cancelled():
            pairing.answer.exception()  # a program that never comes back for its refusal is no fault to report
        loop = asyncio.get_running_loop()
        loop.call_later(PAIRING_LIFETIME, lambda: self._pairings.pop(pairing.id, None))

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")

    def _load(self) -> None:
        kept = self._file.load() or _Kept()
        self._programs = {program.secret: program for program in kept.programs}
        self._origins = {(remembered.origin, remembered.uid): remembered for remembered in kept.origins}

    def _let_in(self, known: dict[Key, Entry], key: Key, entry: Entry) -> None:
        """Write down whom the person let in, and let nobody in where that fails. Raises StateUnavailable."""
        before = known.get(key)
        known[key] = entry
        try:
            self._save()
        except StateUnavailable:
            if before is None:
                del known[key]
            else:
                known[key] = before
            raise

    def _save(self) -> None:
        self._file.save(_Kept(list(self._programs.values()), list(self._origins.values())))


def _caller(program: Program, peer: Peer, sealing: bytes | None = None) -> Caller:
    return Caller(CallerKind.PROGRAM, program.id, program.name, f"urn:cardd:client:{program.id}", peer, sealing)


def _looks(name: str) -> str:
    """Return what a person remembers of a name: not its capitals, accents, widths and spaces."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(one for one in letters if unicodedata.category(one)[0] in "LN")


class Pages:
    """Refuses the programs that call as if they were a web page, and records them."""

    def __init__(self, browsers: Browsers, audit: AuditLog) -> None:
        self._browsers = browsers
        self._audit = audit

    async def check(self, caller: Caller | None, peer: Peer) -> None:
        """Let a browser pass; ``caller`` is the page's origin if it is allowed. Raises NotABrowser, BrowserUnseen."""
        program = await self._browsers.stranger(peer)
        if program is None:
            return
        # origins that nobody allowed are as many as a program likes, and refusals are counted by caller
        claimed = caller.id if caller else f"local:{peer.uid}"
        row = AuditEntry("page.call", Outcome.REFUSED, peer.uid, claimed, shown(program), code=NotABrowser.code)
        await append_if_possible(self._audit, row)
        raise NotABrowser
