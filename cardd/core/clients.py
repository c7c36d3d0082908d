"""Programs that may call: paired by the user, in a dialog that shows what they are.

The dialog shows a program's name, its executable, the OS user and a 6-digit code that the program shows too; it then
has a secret of 256 bits, kept here as a hash. It belongs to one OS user. Web pages: ``origins``.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import unicodedata
from datetime import datetime, timedelta

from cardd.core.dialog_lines import DialogLines, caller_of
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.presence import PolledPresence, waited_for_by
from cardd.core.register import Program, Register
from cardd.errors import (
    CarddError,
    ClientLocked,
    ClientNotFound,
    ClientUnknown,
    PairingNotFound,
    PairingRefused,
    PermissionMissing,
    TooManyRequests,
)
from cardd.model import Caller, CallerKey, CallerKind, Choice, Peer, Question
from cardd.ports import Clock
from cardd.secret import fingerprint, new_id, new_token, proof, seal
from cardd.values import Record, Value, replace

PSC_TOKEN = "psc_token"  # noqa: S105 - the name of a permission
SESSIONS = "sessions"  # to see whom all sessions of the OS user stand for
PAIRING_LIFETIME = 300.0
UNHEARD = 30.0  # seconds after which a program has given up a pairing that it does not ask about


class PairingRequest(Value):
    """What a program says of itself, and what it wants beside logins and signatures (``PSC_TOKEN``, ``SESSIONS``)."""

    name: str
    vendor: str
    software_id: str
    permissions: tuple[str, ...] = ()


class Paired(Value):
    """A pairing that the user approved; the only place where the secret is whole."""

    client_id: str
    client_secret: str


class Pairing(Record, eq=False):
    """One pairing under way until ``expires_at``; ``code`` is shown by the dialog and by the program.

    ``polled`` is the presence of a program that does not wait for the answer but comes back for it; ``is_collected``
    says that it has come back.
    """

    id: str
    code: str
    uid: int
    expires_at: datetime
    answer: asyncio.Task[Paired]
    polled: PolledPresence | None
    is_collected: bool = False


class Clients(Part):
    """Pairs programs, and tells who a secret belongs to."""

    def __init__(
        self,
        register: Register,
        dialogs: DialogLines,
        clock: Clock,
        lifecycle: Lifecycle,
    ) -> None:
        self.unheard = UNHEARD
        self._register = register
        self._dialogs = dialogs
        self._clock = clock
        self._lifecycle = lifecycle
        self._pairings: dict[str, Pairing] = {}

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
        pairing.is_collected = pairing.answer.done()
        if pairing.polled and not pairing.is_collected:
            pairing.polled.heard()
        return pairing

    def program(self, secret: str, peer: Peer) -> Caller:
        """The paired program with this secret. Raises ClientUnknown, also for another user's program; ClientLocked."""
        program = self._register.programs.get(fingerprint(secret))
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
        """The daemon's proof for one of this user's programs (``secret.proof``). Raises ClientUnknown."""
        program = next((found for found in self.programs(peer.uid) if found.id == client), None)
        if program is None:
            raise ClientUnknown
        return proof(program.secret, challenge, address)

    def programs(self, uid: int) -> list[Program]:
        """The paired programs of one OS user."""
        return [program for program in self._register.programs.values() if program.uid == uid]

    def owners(self, identifier: str) -> list[int]:
        """The OS users whose program this is: one, or none."""
        return [program.uid for program in self._register.programs.values() if program.id == identifier]

    def remove(self, identifier: str, uid: int) -> None:
        """Unpair a program. Raises ClientNotFound."""
        program = self.paired(identifier, uid)
        del self._register.programs[program.secret]
        try:
            self._register.save()
        finally:  # it is kept out at once, and until the next start where that cannot be written down
            self._lifecycle.client_shut_out(CallerKey(uid, identifier), "client_removed", program.name)

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
            self._register.let_in(self._register.programs, program.secret, changed)
            self._lifecycle.client_let_in(_caller(program, Peer(uid)), "client.unlock", None)
            return
        self._register.programs[program.secret] = changed
        try:
            self._register.save()
        finally:  # as at a removal
            self._lifecycle.client_shut_out(CallerKey(uid, identifier), "client_locked", program.name)

    async def stop(self) -> None:
        """Give up the pairings that still wait for the user."""
        waiting = [pairing.answer for pairing in self._pairings.values()]
        for answer in waiting:
            answer.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

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
        self._register.let_in(self._register.programs, program.secret, program)
        self._lifecycle.client_let_in(_caller(program, peer), "client.pair", "dialog")
        return Paired(program.id, secret)

    def _forget_later(self, pairing: Pairing) -> None:
        loop = asyncio.get_running_loop()
        if pairing.polled:
            pairing.polled.end()
            loop.call_later(self.unheard, self._undo_uncollected, pairing)
        if not pairing.answer.cancelled():
            pairing.answer.exception()  # a program that never comes back for its refusal is no fault to report
        loop.call_later(PAIRING_LIFETIME, lambda: self._pairings.pop(pairing.id, None))

    def _undo_uncollected(self, pairing: Pairing) -> None:
        """Unpair a program that did not come back for its secret: nobody has it."""
        if pairing.is_collected or pairing.answer.cancelled() or pairing.answer.exception():
            return
        self._pairings.pop(pairing.id, None)
        with contextlib.suppress(CarddError):  # unpaired meanwhile, or a full disk: it is out all the same
            self.remove(pairing.answer.result().client_id, pairing.uid)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")


def _caller(program: Program, peer: Peer, sealing: bytes | None = None) -> Caller:
    return Caller(CallerKind.PROGRAM, program.id, program.name, f"urn:cardd:client:{program.id}", peer, sealing)


def _looks(name: str) -> str:
    """Return what a person remembers of a name: not its capitals, accents, widths and spaces."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(one for one in letters if unicodedata.category(one)[0] in "LN")
