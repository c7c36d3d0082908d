"""Other programs that use the card through PKCS#11: let in by the user, for what, until when.

A program is a file that is run, of one OS user: all its processes are one caller. That tells honest programs apart, and
stops none that means harm: a program of the same user may have any other one do its work. So nothing is remembered of a
file that others than root can change, nor of one that runs scripts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import date, datetime, timedelta
from enum import StrEnum
from urllib.parse import quote
from weakref import WeakValueDictionary

from cardd.config import P11, Config
from cardd.core.dialog_lines import DialogLines
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.presence import while_waited_for
from cardd.core.state_file import StateFile
from cardd.errors import ConsentTimeout, ProgramNotFound, ProgramRefused, ProgramsOff, StateUnavailable
from cardd.model import Caller, CallerKey, Choice, Question
from cardd.ports import Clock, Store
from cardd.values import Value, replace

STORE = "programs"
ONCE = timedelta(hours=12)
REFUSED_FOR = 60.0  # seconds for which a refusal stands: programs try again at once
PROGRAMS_MAX = 64  # of one OS user; the one that was not used for longest makes room
UNSEEN = "p11?"
STRANGERS = "other programs"  # who asks for programs that nobody let in


class ProgramRight(StrEnum):
    """What a program may have the keys do: the authentication key, but for SIGN."""

    TLS = "tls"  # sign handshakes, and digests of which nobody can tell what they are of
    DATA = "data"  # sign what is seen to be no handshake, and decrypt
    SIGN = "sign"  # ask for the signature key's signatures, each of which has a consent of its own


class KnownProgram(Value):
    """One program that a user let in; ``used`` the day of its last use, ``until`` the end of all its rights."""

    path: str
    uid: int
    rights: tuple[ProgramRight, ...]
    since: datetime
    until: datetime
    used: date


class _Once(KnownProgram):
    """One that is let in for this once: it ends on the monotonic clock, whatever is done to the time of day."""

    ends: float


class _Kept(Value):
    """What outlives the daemon."""

    programs: list[KnownProgram]


class Wanted(Value):
    """What a program wants now; ``server`` is the name that its handshake tells, where that can be seen."""

    right: ProgramRight
    server: str | None = None

    @property
    def told(self) -> dict[str, str]:
        """What a dialog says of it."""
        server = {"server": self.server} if self.server else {}
        return {f"program_{self.right.value}": "", **server}


class Programs(Part):
    """Lets programs in, and tells what each may do. A caller's ``name`` is its file, whatever its ``id`` stands for.

    One whose file nobody can tell is a caller of its own, each process, and named so.
    """

    def __init__(self, store: Store, dialogs: DialogLines, clock: Clock, lifecycle: Lifecycle, settings: P11) -> None:
        self._file = StateFile(store, STORE, _Kept)
        self._dialogs = dialogs
        self._clock = clock
        self._lifecycle = lifecycle
        self._settings = settings
        kept = self._file.load()
        self._known = {CallerKey(one.uid, program_id(one.path)): one for one in (kept.programs if kept else ())}
        self._once: dict[CallerKey, KnownProgram] = {}
        self._refused: dict[tuple[CallerKey, ProgramRight], float] = {}
        self._turns: WeakValueDictionary[CallerKey, asyncio.Lock] = WeakValueDictionary()
        self._revocations: Counter[CallerKey] = Counter()

    def reconfigured(self, config: Config) -> None:
        """Let programs in, or no more, and for as long as is configured now; where none is let in, logins end."""
        was, self._settings = self._settings, config.p11
        if self._settings.programs == "off" != was.programs:
            for key, one in {**self._known, **self._once}.items():
                self._lifecycle.client_shut_out(key, "program_revoked", one.path)

    def ensure_served(self) -> None:
        """Raises ProgramsOff where no program is let in."""
        if self._settings.programs == "off":
            raise ProgramsOff

    async def admit(self, program: Caller, wanted: Wanted, *, is_lasting: bool) -> None:
        """Let the program do this: what it may not do yet, the person is asked, once for all who ask meanwhile.

        ``is_lasting`` says that the person may have it remembered. Raises ProgramsOff, ProgramRefused, ConsentTimeout,
        and what ``DialogLines.confirm`` raises.
        """
        self.ensure_served()
        if self._may(program, wanted.right):
            return
        turn = self._turns.setdefault(program.key, asyncio.Lock())
        async with while_waited_for():
            await turn.acquire()
        try:
            if not self._may(program, wanted.right):
                await self._ask(program, wanted, is_lasting=is_lasting)
        finally:
            turn.release()

    def is_let_in(self, program: Caller) -> bool:
        """Return whether the program has any right: nobody types a PIN for one that has none."""
        return any(self._may(program, right) for right in ProgramRight)

    def standings(self, uid: int) -> list[KnownProgram]:
        """Return the programs that this user let in, by their paths."""
        keys = sorted({key for key in (*self._known, *self._once) if key.uid == uid})
        return [one for one in map(self._standing, keys) if one]

    def revoke(self, path: str, uid: int) -> None:
        """Shut a program out: its logins end at once, and it has to ask again. Raises ProgramNotFound."""
        every = {**self._known, **self._once}
        keys = [key for key, one in every.items() if key.uid == uid and one.path == path]
        if not keys:
            raise ProgramNotFound
        is_kept = not self._known.keys().isdisjoint(keys)
        for key in keys:
            self._known.pop(key, None)
            self._once.pop(key, None)
        self._revocations.update(keys)
        try:
            if is_kept:
                self._save()
        finally:  # it is shut out at once, and until the next start where that cannot be written down
            for key in keys:
                self._lifecycle.client_shut_out(key, "program_revoked", path)

    # --- consents

    def _standing(self, key: CallerKey) -> KnownProgram | None:
        """Return what a program may do now, for the present and remembered; None where it may do nothing."""
        found = [one for one in (self._once.get(key), self._known.get(key)) if one and self._holds(one)]
        if not found:
            return None
        rights = tuple(right for right in ProgramRight if any(right in one.rights for one in found))
        since, until, used = min(x.since for x in found), max(x.until for x in found), max(x.used for x in found)
        return KnownProgram(found[0].path, key.uid, rights, since, until, used)

    def _may(self, program: Caller, right: ProgramRight) -> bool:
        standing = self._standing(program.key)
        if standing is None or right not in standing.rights:
            return False
        self._use(program.key, self._clock.now().date())
        return True

    def _holds(self, known: KnownProgram) -> bool:
        if isinstance(known, _Once):
            return self._clock.monotonic() < known.ends
        return self._clock.now() < known.until

    def _use(self, key: CallerKey, day: date) -> None:
        """Note the day, so that of many programs the right one makes room; a full disk keeps nobody out."""
        for among in (self._once, self._known):
            if key in among and among[key].used != day:
                among[key] = replace(among[key], used=day)
                if among is self._known:
                    with contextlib.suppress(StateUnavailable):
                        self._save()

    async def _ask(self, program: Caller, wanted: Wanted, *, is_lasting: bool) -> None:
        refused = (program.key, wanted.right)
        if self._clock.monotonic() < self._refused.get(refused, 0.0):
            raise ProgramRefused(program=program.name)
        until, revocations = self._end(program.key), self._revocations[program.key]
        question = self._question(program, wanted, until, is_lasting=is_lasting)
        try:
            choice = await self._dialogs.confirm(question)
        except ConsentTimeout as error:
            self._refuse(program, wanted.right, error)
            raise
        self.ensure_served()
        if choice is Choice.NO or self._revocations[program.key] != revocations:  # shut out while the person read
            refusal = ProgramRefused(program=program.name)
            self._refuse(program, wanted.right, refusal)
            raise refusal
        self._keep(program, wanted.right, choice, until)
        self._lifecycle.client_let_in(program, "program.allow", choice.value)

    def _end(self, key: CallerKey) -> datetime:
        """Return until when one more right would be remembered: it puts off the end of no other."""
        until, known = self._clock.now() + timedelta(days=self._settings.remember_days), self._known.get(key)
        return min(until, known.until) if known and self._holds(known) else until

    def _question(self, program: Caller, wanted: Wanted, until: datetime, *, is_lasting: bool) -> Question:
        days = self._settings.remember_days
        params: dict[str, str | int] = {"program": _path_of(program), **wanted.told}
        if not params["program"] and program.peer.pid is not None:
            params["process"] = program.peer.pid
        elif not is_lasting:
            params["passing"] = ""
        elif days:
            params["until"] = until.date().isoformat()
        third = Choice.ALWAYS if is_lasting and days else None
        # programs that nobody let in are one caller: three refusals end it, whatever file asks next
        asks = program.key if self._standing(program.key) else CallerKey(program.peer.uid, STRANGERS)
        return Question("program", program.peer.uid, params, third=third, caller=asks)

    def _refuse(self, program: Caller, right: ProgramRight, error: ProgramRefused | ConsentTimeout) -> None:
        now = self._clock.monotonic()
        self._refused = {key: until for key, until in self._refused.items() if now < until}
        self._refused[program.key, right] = now + REFUSED_FOR
        self._lifecycle.client_refused(program, "program.allow", error)

    def _keep(self, program: Caller, right: ProgramRight, choice: Choice, told_until: datetime) -> None:
        key, now = program.key, self._clock.now()
        is_lasting = choice is Choice.ALWAYS
        among = self._known if is_lasting else self._once
        were, before = dict(among), among.get(key)
        rights, until = {right}, min(told_until, self._end(key)) if is_lasting else now + ONCE
        ends = self._clock.monotonic() + ONCE.total_seconds()
        if before and self._holds(before):  # one more right puts off the end of no other
            rights, until = {right, *before.rights}, min(until, before.until)
            ends = min(ends, before.ends) if isinstance(before, _Once) else ends
        kept = tuple(one for one in ProgramRight if one in rights)
        entry = (program.name, program.peer.uid, kept, now, until, now.date())
        among[key] = KnownProgram(*entry) if is_lasting else _Once(*entry, ends)
        self._make_room(among, program.peer.uid)
        if is_lasting:
            try:
                self._save()
            except StateUnavailable:
                self._known = were
                raise

    def _make_room(self, among: dict[CallerKey, KnownProgram], uid: int) -> None:
        mine = sorted((one.used, one.since, key) for key, one in among.items() if key.uid == uid)
        for _, _, key in mine[:-PROGRAMS_MAX]:
            del among[key]

    def _save(self) -> None:
        now = self._clock.now()
        self._known = {key: one for key, one in self._known.items() if now < one.until}
        self._file.save(_Kept(list(self._known.values())))


def program_id(path: str) -> str:
    """Return the identifier, among one OS user's callers, of a program that runs this file; it has no blank."""
    return f"p11:{quote(path, errors='surrogateescape')}"


def unseen_id(process: str) -> str:
    """Return the identifier of a program whose file nobody can tell: of one process (``Peer.process``)."""
    return f"{UNSEEN}{process}"


def _path_of(program: Caller) -> str:
    """Return what the person is told of the file; empty where it is not known."""
    return "" if program.id.startswith(UNSEEN) else program.name
