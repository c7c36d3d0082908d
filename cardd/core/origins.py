"""Web origins that may call: listed by the configuration or let in by the user, by the keys of their pages.

An origin is a name that any program can send. So each browser profile shows a key of its pages' own, once in a dialog
and then at each proof (``page_keys``): another program, or another profile, that sends the same name has another key,
and the person is asked about that one. What a key's pages may do are rights, agreed to in that dialog or given by the
configuration. Either belongs to one OS user.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from cardd.config import Config, Web
from cardd.core.dialog_lines import DialogLines, caller_of
from cardd.core.lifecycle import Lifecycle, Part
from cardd.core.page_consents import PageConsents
from cardd.core.page_keys import PageKey
from cardd.core.page_passes import Given, PagePasses
from cardd.core.presence import while_waited_for
from cardd.core.register import KnownKey, KnownOrigin, Register
from cardd.errors import (
    CarddError,
    ClientNotFound,
    ConsentTimeout,
    OriginNotAskable,
    PageConsentNeeded,
    PageProofNeeded,
    PageRightMissing,
    PairingRefused,
    TooManyRequests,
)
from cardd.model import (
    Caller,
    CallerKey,
    CallerKind,
    Choice,
    Peer,
    Question,
    Right,
    Rights,
    rights_of,
)
from cardd.ports import Clock
from cardd.values import Value

# An origin as a browser writes it: lower case, punycode, no default port. Only such a one is worth a dialog.
ASKABLE = re.compile(r"https://(?:[a-z0-9-]{1,63}\.)+[a-z][a-z0-9-]{0,62}(?::(?!443$)[1-9][0-9]{0,4})?")
ASKABLE_LENGTH = 200
# what the person refuses before nothing new is asked about: strange sites, and keys of one site; until the next start
REFUSED_SITES_MAX, REFUSED_KEYS_MAX = 10, 3
DEFAULT = rights_of((Right.AUTHENTICATE, Right.SIGN))
TABS_MAX = 8  # of one browser that wait for one dialog
EXPECTED = timedelta(minutes=5)  # for the first page of a site that was let in by cardctl
PUNYCODE = "xn--"
# who asks beside strangers: new browsers of sites that are listed or known, and the person by cardctl
KNOWN_SITES, BY_COMMAND = "known sites", "sites by command"


class Entered(Value):
    """A page that was let in: its pass, its rights, and until when the person let it in."""

    given: Given
    rights: Rights
    until: datetime | None


class Standing(Value):
    """How one origin stands with one user; ``is_active`` says whether its keys serve as this daemon is configured."""

    origin: str
    is_listed: bool
    is_active: bool
    is_refused: bool
    keys: tuple[KnownKey, ...]
    rights: Rights


class _Expected(Value):
    """What the person agreed to for the first page of an origin that comes before ``by``, on the monotonic clock."""

    rights: Rights
    choice: Choice
    by: float


class Origins(Part):
    """Lets pages in, and tells what each may do; ``passes`` has what they prove themselves by."""

    def __init__(
        self,
        register: Register,
        dialogs: DialogLines,
        clock: Clock,
        lifecycle: Lifecycle,
        settings: Web,
        *,
        listed: Mapping[str, Sequence[str]],
    ) -> None:
        self.passes = PagePasses(clock)
        self._consents = PageConsents(register, clock, settings.remember_days, self._end)
        self._dialogs = dialogs
        self._clock = clock
        self._lifecycle = lifecycle
        self._settings = settings
        self._listed = {origin: rights_of(names) for origin, names in listed.items()}
        self._refused: set[tuple[CallerKey, str | None]] = set()  # without a key: whatever key it shows
        self._expected: dict[CallerKey, _Expected] = {}
        self._asked: set[CallerKey] = set()
        self._turns: WeakValueDictionary[CallerKey, asyncio.Lock] = WeakValueDictionary()
        self._tabs: Counter[CallerKey] = Counter()  # that have a dialog open, or wait for it

    def reconfigured(self, config: Config) -> None:
        """Take the sites that are listed now; what a site has whose pages may not go on ends at once."""
        before = [owner for owner in self._consents.owners() if owner.id in self._listed or self._asks]
        self._settings = config.web
        self._listed = {origin: rights_of(names) for origin, names in config.listed_origins.items()}
        self._consents.remember_for(config.web.remember_days)
        for owner in before:
            if owner.id not in self._listed and not self._asks:
                self._end(owner, None)

    # --- what the gate asks ---

    def is_allowed(self, origin: str, peer: Peer) -> bool:
        """Whether pages of this origin are known: listed, or let in by this user."""
        owner = CallerKey(peer.uid, origin)
        return origin in self._listed or (self._asks and self._consents.is_known(owner))

    def may_ask(self, origin: str) -> bool:
        """Whether pages of this origin may ask to be let in."""
        return self._asks and _is_askable(origin)

    # --- pages ---

    def proven(self, key: PageKey, proof: str, origin: str, peer: Peer, *, address: str) -> Caller:
        """Return the page whose key made this proof, for the ``address`` that it calls. Raises PageProofInvalid."""
        self.passes.check(key, proof, origin, peer, address=address)
        return _page(origin, peer, key.thumbprint)

    async def enter(self, page: Caller, wanted: Collection[str] | None, *, asks: bool) -> Entered:
        """Give a pass to a page that proved its key; the person is asked where it may not do all that is ``wanted``.

        One such dialog at a time for a listed or known site of one user, one for all others together, and none again
        for what was refused or left without an answer. Raises PageConsentNeeded where one is needed and not ``asks``,
        PairingRefused, ConsentTimeout, RefusedTooOften, TooManyRequests.
        """
        owner, key = _owner(page), page.page_key or ""
        granted = self._granted(owner, key)
        rights = self._wanted(owner, wanted, granted)
        if granted is None or not rights <= granted:
            async with self._alone(page.key) if asks else contextlib.nullcontext():
                granted = self._granted(owner, key)  # another tab may have asked meanwhile
                rights = self._wanted(owner, wanted, granted)
                if granted is None or not rights <= granted:
                    await self._let_in(page, rights, asks=asks)
        self._consents.use(owner, key)
        known = self._consents.of(owner, key)
        return Entered(self.passes.give(page), self._granted(owner, key) or rights, known.until if known else None)

    @contextlib.asynccontextmanager
    async def _alone(self, page: CallerKey) -> AsyncIterator[None]:
        """Wait until no other tab of this browser has its dialog open, and have it to oneself."""
        if self._tabs[page] >= TABS_MAX:  # each of them holds a connection
            raise TooManyRequests(retry_after=5)
        turn = self._turns.setdefault(page, asyncio.Lock())
        self._tabs[page] += 1
        try:
            async with while_waited_for():
                await turn.acquire()
            try:
                yield
            finally:
                turn.release()
        finally:
            self._tabs[page] -= 1
            if not self._tabs[page]:
                del self._tabs[page]

    def may(self, page: Caller, right: Right) -> bool:
        """Return whether a page that was let in has this right."""
        return right in (self._granted(_owner(page), page.page_key or "") or ())

    def check(self, page: Caller, rights: Iterable[Right]) -> None:
        """Look whether a page may go on: known, proved not long ago, and with one of these rights, if there are any.

        Raises PageProofNeeded, PageRightMissing.
        """
        granted = self._granted(_owner(page), page.page_key or "")
        if granted is None:
            raise PageProofNeeded
        self.passes.ensure_proven(page)
        needed = tuple(rights)
        if needed and not granted.intersection(needed):
            raise PageRightMissing(right=needed[0].value)

    # --- what the user sees and decides beside the pages ---

    def standings(self, uid: int) -> list[Standing]:
        """How the origins stand that are listed, or that this user let in or refused."""
        owners = {CallerKey(uid, origin) for origin in self._listed}
        owners |= {owner for owner in self._consents.owners() if owner.uid == uid}
        owners |= {owner for owner, _ in self._refused if owner.uid == uid}
        owners |= {owner for owner in self._expected if owner.uid == uid and self._soon(owner)}
        return [self._standing(owner) for owner in sorted(owners)]

    async def allow(self, origin: str, peer: Peer, wanted: Iterable[str] | None) -> Standing:
        """Ask the user whether to let this origin in: the first key that its pages show soon is then let in unasked.

        Raises OriginNotAskable, and what ``enter`` raises.
        """
        owner = CallerKey(peer.uid, origin)
        if origin not in self._listed and not self.may_ask(origin):
            raise OriginNotAskable(origin=origin, why="form" if self._asks else "refused")
        rights = self._wanted(owner, wanted, None)
        choice = await self._ask(_page(origin, peer, None), rights, by_command=True)
        self._refused = {entry for entry in self._refused if entry[0] != owner}
        self._expected[owner] = _Expected(rights, choice, self._clock.monotonic() + EXPECTED.total_seconds())
        self._lifecycle.client_let_in(_page(origin, peer, None), "origin.allow", choice.value)
        return self._standing(owner)

    def revoke(self, owner: CallerKey, key: str | None = None) -> None:
        """Shut an origin out, or one key of it: sessions, streams and dialogs end at once. Raises ClientNotFound."""
        if not self._consents.has(owner, key) and (key or not self._is_pending(owner)):
            raise ClientNotFound
        self._expected.pop(owner, None)
        try:
            self._consents.forget(owner, key)
        finally:  # it is kept out at once, and until the next start where that cannot be written down
            self._end(owner, key)

    def _is_pending(self, owner: CallerKey) -> bool:
        """Return whether an origin that is not let in was refused, has its dialog open, or is let in soon."""
        is_open = any(page.is_of(owner) for page in self._tabs)
        return is_open or bool(self._soon(owner)) or any(kept == owner for kept, _ in self._refused)

    def known(self, uid: int) -> list[KnownOrigin]:
        """The origins that this user remembered, of those that the configuration does not list."""
        return [one for one in self._consents.remembered(uid) if one.origin not in self._listed]

    def owners(self, origin: str) -> list[int]:
        """The OS users who let this origin in."""
        return [owner.uid for owner in sorted(self._consents.owners()) if owner.id == origin]

    # --- consents ---

    @property
    def _asks(self) -> bool:
        return self._settings.unknown_origins == "ask"

    def _wanted(self, owner: CallerKey, names: Iterable[str] | None, granted: Rights | None) -> Rights:
        if owner.id in self._listed:
            return self._listed[owner.id]
        if names is None:
            return granted or DEFAULT
        return rights_of(names) | (granted or frozenset())

    def _granted(self, owner: CallerKey, key: str) -> Rights | None:
        """Return what pages of this key may do, which the person was told of; None when they are not let in."""
        known = self._consents.of(owner, key)
        if known is None or not (owner.id in self._listed or self._asks):
            return None
        told = rights_of(known.rights)
        return told & self._listed.get(owner.id, told)

    def _soon(self, owner: CallerKey) -> Rights:
        """Return what the first page of an origin that comes now may do, as its person said; nothing where none may."""
        expected = self._expected.get(owner)
        return expected.rights if expected and self._clock.monotonic() < expected.by else frozenset()

    def _standing(self, owner: CallerKey) -> Standing:
        is_listed, keys = owner.id in self._listed, self._consents.keys(owner)
        told = [name for known in keys for name in known.rights] + sorted(self._soon(owner))
        rights = self._listed[owner.id] if is_listed else rights_of(told)
        is_refused = any(kept == owner for kept, _ in self._refused)
        return Standing(owner.id, is_listed, is_listed or self._asks, is_refused, keys, rights)

    async def _let_in(self, page: Caller, rights: Rights, *, asks: bool) -> None:
        owner, key = _owner(page), page.page_key or ""
        if rights <= self._soon(owner):
            choice = self._expected.pop(owner).choice
        else:
            if self._is_refused(owner, key):
                raise PairingRefused
            if not asks:
                raise PageConsentNeeded
            choice = await self._ask(page, rights)
        self._consents.keep(owner, key, rights, choice)
        self._lifecycle.client_let_in(page, "origin.allow", choice.value)

    async def _ask(self, page: Caller, rights: Rights, *, by_command: bool = False) -> Choice:
        question = self._question(page, rights, by_command=by_command)
        owner = _owner(page)
        asks = owner if question.caller and not by_command else caller_of(question)
        if asks in self._asked:
            raise TooManyRequests(retry_after=5)
        self._asked.add(asks)
        try:
            choice = await self._dialogs.confirm(question)
        except ConsentTimeout as error:
            self._refuse(page, error)
            raise
        except PageConsentNeeded:  # it was shut out meanwhile, which is the person's answer
            self._refuse(page, PairingRefused())
            raise PairingRefused from None
        finally:
            self._asked.discard(asks)
        if choice is Choice.NO:
            self._refuse(page, PairingRefused())
            raise PairingRefused
        return choice

    def _question(self, page: Caller, rights: Rights, *, by_command: bool) -> Question:
        owner, days = _owner(page), self._settings.remember_days
        params: dict[str, str | int] = {"origin": page.origin}
        told = rights - {Right.DETECT} if Right.HOLDER in rights else rights  # whoever reads it sees that it is there
        params |= {f"may_{right.value}": "" for right in Right if right in told}
        if PUNYCODE in page.origin:
            params["punycode"] = _decoded(page.origin)
        if page.origin in self._listed:
            params["listed"] = ""
        if any(known.id != page.page_key for known in self._standing(owner).keys):
            params["another"] = ""
        if by_command:
            params["by_command"] = ""
        if days:
            params["until"] = (self._clock.now() + timedelta(days=days)).date().isoformat()
        # strangers are one caller for each user, known sites another: three refusals end it, whichever name it takes
        asks = BY_COMMAND if by_command else KNOWN_SITES if self._is_trusted(owner) else None
        caller = CallerKey(owner.uid, asks) if asks else None
        return Question("origin", page.peer.uid, params, third=Choice.ALWAYS if days else None, caller=caller)

    def _is_trusted(self, owner: CallerKey) -> bool:
        """Return whether an origin is let in otherwise: by the configuration, or with another key."""
        return owner.id in self._listed or bool(self._standing(owner).keys)

    def _is_refused(self, owner: CallerKey, key: str) -> bool:
        """Return whether the person refused this key or site, or so many others that nothing new is asked about."""
        if not self._refused.isdisjoint(((owner, None), (owner, key))):
            return True
        if self._is_trusted(owner):
            return sum(kept == owner for kept, _ in self._refused) >= REFUSED_KEYS_MAX
        return sum(kept.uid == owner.uid and not of for kept, of in self._refused) >= REFUSED_SITES_MAX

    def _refuse(self, page: Caller, error: CarddError) -> None:
        """Ask no more about a site that nobody let in, nor about this key of one that is trusted otherwise."""
        owner = _owner(page)
        self._refused.add((owner, page.page_key if self._is_trusted(owner) else None))
        self._lifecycle.client_refused(page, "origin.allow", error)

    def _end(self, owner: CallerKey, key: str | None) -> None:
        """End what an origin has, or one key of it: passes, sessions and streams."""
        self.passes.end(owner, key)
        ended = CallerKey(owner.uid, f"{owner.id} {key}") if key else owner
        self._lifecycle.client_shut_out(ended, "origin_revoked", owner.id)


def _page(origin: str, peer: Peer, key: str | None) -> Caller:
    return Caller(CallerKind.ORIGIN, origin, origin, origin, peer, page_key=key)


def _owner(page: Caller) -> CallerKey:
    """Return whose consents these are: an origin's, of one user, whatever its pages' keys."""
    return CallerKey(page.peer.uid, page.origin)


def _is_askable(origin: str) -> bool:
    return len(origin) <= ASKABLE_LENGTH and bool(ASKABLE.fullmatch(origin))


def _decoded(origin: str) -> str:
    """Return the origin with its labels in punycode as a browser may show them; what is none stays as it is."""
    return ".".join(_label(label) for label in origin.removeprefix("https://").split("."))


def _label(label: str) -> str:
    host, colon, port = label.partition(":")
    if not host.startswith(PUNYCODE):
        return label
    try:
        return host.removeprefix(PUNYCODE).encode().decode("punycode") + colon + port
    except UnicodeError:
        return label
