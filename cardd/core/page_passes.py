"""What pages prove and get for it: a challenge that serves once, a pass for some minutes, a ticket for one stream.

All of it is in memory, so that nothing of one daemon serves at the next, and belongs to one origin of one OS user.
Whoever asks too often, under one origin or many, pushes out what is their own.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from cardd.core.page_keys import PageKey, challenge_of
from cardd.core.recording import append_if_possible
from cardd.errors import NotABrowser, PageProofInvalid, PageProofNeeded
from cardd.model import AuditEntry, Caller, CallerKey, Outcome, Peer, shown
from cardd.ports import AuditLog, Browsers, Clock
from cardd.secret import fingerprint, new_token
from cardd.values import Value

CHALLENGE_LIFETIME = 60.0  # seconds
PASS_LIFETIME = 300.0
TICKET_LIFETIME = 30.0
EACH_MAX = 128  # challenges, passes or tickets of one origin of one user: as many tabs may come at once
USER_MAX = 2048  # of all origins of one user
USERS_MAX = 1024

T = TypeVar("T")


class Given(Value):
    """What a page was given, and until when: the only place where it is whole."""

    value: str
    expires_at: datetime


class ExpiringTokens(Generic[T]):
    """Values by a random token that is kept as its hash, for some seconds; the oldest of an owner makes room."""

    def __init__(self, clock: Clock, lifetime: float) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._kept: OrderedDict[int, OrderedDict[str, tuple[CallerKey, float, T]]] = (
            OrderedDict()
        )  # by user; oldest first

    def put(self, owner: CallerKey, value: T) -> Given:
        """Keep a value for this owner; return the text that it is found by."""
        self._make_room(owner)
        text = new_token()
        self._kept[owner.uid][fingerprint(text)] = (owner, self._clock.monotonic() + self._lifetime, value)
        return Given(text, self._clock.now() + timedelta(seconds=self._lifetime))

    def get(self, text: str, owner: CallerKey) -> T | None:
        """Return the value of this text; None where it is another owner's, or its time is over."""
        found = self._kept[owner.uid].get(fingerprint(text)) if owner.uid in self._kept else None
        if found is None:
            return None
        kept, ends, value = found
        return value if kept == owner and self._clock.monotonic() < ends else None

    def take(self, text: str, owner: CallerKey) -> T | None:
        """Return it as ``get`` does; nobody gets it again."""
        value = self.get(text, owner)
        if value is not None:
            del self._kept[owner.uid][fingerprint(text)]
        return value

    def drop(self, owner: CallerKey, condition: Callable[[T], bool]) -> None:
        """Forget the owner's values for which the condition holds."""
        own = self._kept.get(owner.uid, OrderedDict())
        for name, (kept, _, value) in list(own.items()):
            if kept == owner and condition(value):
                del own[name]

    def _make_room(self, owner: CallerKey) -> None:
        own, now = self._kept.setdefault(owner.uid, OrderedDict()), self._clock.monotonic()
        self._kept.move_to_end(owner.uid)
        over = [name for name, (_, ends, _) in own.items() if ends <= now]
        same = [name for name, (kept, _, _) in own.items() if kept == owner]
        over += same[: max(0, len(same) - EACH_MAX + 1)]
        if not over and len(own) >= USER_MAX:  # many strange origins push out their own, and not a listed one's
            most, _ = Counter(kept for kept, _, _ in own.values()).most_common(1)[0]
            over = [next(name for name, (kept, _, _) in own.items() if kept == most)]
        for name in over:
            own.pop(name, None)
        if len(self._kept) > USERS_MAX:
            self._kept.popitem(last=False)


class PagePasses:
    """Challenges, passes and tickets of all pages."""

    def __init__(self, clock: Clock) -> None:
        self._challenges: ExpiringTokens[bool] = ExpiringTokens(clock, CHALLENGE_LIFETIME)
        self._passes: ExpiringTokens[Caller] = ExpiringTokens(clock, PASS_LIFETIME)
        self._tickets: ExpiringTokens[Caller] = ExpiringTokens(clock, TICKET_LIFETIME)
        self._clock = clock
        self._proven: dict[CallerKey, float] = {}  # until when; as many as keys that were let in

    def challenge(self, origin: str, peer: Peer) -> Given:
        """Return a challenge for one proof by a page of this origin."""
        return self._challenges.put(CallerKey(peer.uid, origin), True)

    def check(self, key: PageKey, proof: str, origin: str, peer: Peer, *, address: str) -> None:
        """Take the challenge that a proof answers, and check the proof. Raises PageProofInvalid."""
        challenge = challenge_of(proof)
        if not self._challenges.take(challenge, CallerKey(peer.uid, origin)):
            raise PageProofInvalid(reason="challenge")
        key.check(proof, origin=origin, address=address, challenge=challenge)

    def give(self, page: Caller) -> Given:
        """Return a pass for the page, which has proved itself."""
        self._proven[page.key] = self._clock.monotonic() + PASS_LIFETIME
        return self._passes.put(_owner(page), page)

    def page(self, token: str | None, origin: str, peer: Peer) -> Caller:
        """Return the page that has this pass, as it calls now. Raises PageProofNeeded."""
        return self._caller(self._passes.get(token or "", CallerKey(peer.uid, origin)), peer)

    def ticket(self, page: Caller) -> Given:
        """Return what opens one stream for a page that can send no header with it."""
        return self._tickets.put(_owner(page), page)

    def take_ticket(self, ticket: str, origin: str, peer: Peer) -> Caller:
        """Return the page that was given this ticket. Raises PageProofNeeded."""
        return self._caller(self._tickets.take(ticket, CallerKey(peer.uid, origin)), peer)

    def ensure_proven(self, page: Caller) -> None:
        """Raises PageProofNeeded when the page's key has proved itself too long ago."""
        if self._clock.monotonic() >= self._proven.get(page.key, 0.0):
            raise PageProofNeeded

    def end(self, owner: CallerKey, key: str | None = None) -> None:
        """End the passes and tickets of an origin, or of one key of it."""
        gone = CallerKey(owner.uid, f"{owner.id} {key}") if key else owner
        self._proven = {page: ends for page, ends in self._proven.items() if not page.is_of(gone)}
        for shelf in (self._passes, self._tickets):
            shelf.drop(owner, lambda given: key in (None, given.page_key))

    @staticmethod
    def _caller(given: Caller | None, peer: Peer) -> Caller:
        if given is None:
            raise PageProofNeeded
        return Caller(given.kind, given.id, given.name, given.origin, peer, page_key=given.page_key)


class Pages:
    """Tells pages from programs that call as if they were one, refuses and records those."""

    def __init__(self, browsers: Browsers, audit: AuditLog) -> None:
        self._browsers = browsers
        self._audit = audit

    async def check(self, origin: str | None, peer: Peer) -> None:
        """Let a browser pass; ``origin`` is the page's if it is allowed. Raises NotABrowser, BrowserUnseen."""
        program = await self._browsers.stranger(peer)
        if program is None:
            return
        # origins that nobody allowed are as many as a program likes, and refusals are counted by caller
        claimed = origin or f"local:{peer.uid}"
        row = AuditEntry("page.call", Outcome.REFUSED, peer.uid, claimed, shown(program), code=NotABrowser.code)
        await append_if_possible(self._audit, row)
        raise NotABrowser


def _owner(page: Caller) -> CallerKey:
    """Return whose a pass is: an origin's, of one user."""
    return CallerKey(page.peer.uid, page.origin)
