"""The connection to Pro Santé Connect: how often a person may be woken through it, and how it fares."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cardd.config import Psc
from cardd.errors import (
    CarddError,
    MethodUnavailable,
    PscCertificate,
    PscClientExpired,
    PscClientRefused,
    PscDirectNotAgreed,
    PscDiscoveryHost,
    PscDiscoveryInsecure,
    PscDiscoveryIssuer,
    PscIncomplete,
    PscNoCiba,
    PscSilent,
    PscUnavailable,
    PushTooSoon,
    SecretStoreUnavailable,
)
from cardd.identity.csa import CsaLogins
from cardd.identity.ecps.provider import METHOD, NO_KEYRING, Flow, Heard, Made, PscAttempt, PscProvider, Reach, Wanted
from cardd.model import Caller, CallerKey
from cardd.outward import Outward
from cardd.ports import Clock, SecretStore
from cardd.values import Record, Value

if TYPE_CHECKING:
    from cardd.oidc.loopback import PeerOf

GOOD_FOR = 60.0  # seconds that what was seen of the other side is told again
PROVEN_FOR = 3600.0  # that a proof which was accepted is not made again, where nobody asks for one
# what is wrong with the other side, or with this service there, whoever logs in
OF_THE_SERVICE = (
    PscUnavailable, PscCertificate, PscClientRefused, PscNoCiba,
    PscDiscoveryHost, PscDiscoveryInsecure, PscDiscoveryIssuer,
)  # fmt: skip


class LoginLimits(Record):
    """How many sessions one program may have, and how many seconds things take."""

    sessions: int = 64  # of one program: of all the people who work on one machine
    interval: float = 1.0  # between two questions about a push at least, whatever the provider tells
    answer: float = 15.0  # that the other side may take to answer
    pauses: tuple[float, ...] = (0.25, 1.0)  # before what only looks is asked for the second and the third time
    reach: float = 20.0  # that a look at the other side may take, all tries together
    look: float = 3.0  # that whoever looks at the methods waits for the other side
    push_pause: float = 10.0  # between two pushes of one program for one person, until one was agreed to
    push_window: float = 300.0  # in which those that were not agreed to are counted
    pushes_to_person: int = 3  # from all programs of one OS user
    pushes_by_program: int = 6  # to all people
    unheard: float = 30.0  # without a question about the session, and without a stream of events, while it is pending
    picking: float = 120.0  # as long as a dialog stays open
    renewal_margin: float = 20.0  # before the access token ends
    good_for: float = 10.0  # that a token is still good for when it is handed out
    first_pause: float = 1.0  # between two attempts to go on with a login while the provider is away
    longest_pause: float = 30.0


class _Push(Value):
    """One push that was not agreed to, when it was sent (``Clock.monotonic``)."""

    caller: CallerKey
    uid: int
    national_id: str
    sent: float


class PushLimit:
    """Knows when each program last woke each person's mobile: whoever is asked again and again agrees in the end.

    A person is counted for each OS user, so that another user of the machine cannot use up what a login needs. Nothing
    of it outlives the window.
    """

    def __init__(self, clock: Clock, limits: LoginLimits) -> None:
        self._clock = clock
        self._limits = limits
        self._pushes: list[_Push] = []  # the oldest first
        self._agreed: set[tuple[int, str]] = set()

    @contextmanager
    def push(self, caller: Caller, national_id: str) -> Iterator[None]:
        """Surround one push. One that fails does not count. Raises PushTooSoon."""
        push = _Push(caller.key, caller.peer.uid, national_id, self._clock.monotonic())
        self._check(push)
        self._pushes.append(push)
        try:
            yield
        except BaseException:
            self._pushes.remove(push)
            raise

    def agreed(self, caller: Caller, national_id: str) -> None:
        """Forget the pushes of a person who agreed: the next one is a new matter."""
        self._agreed.add((caller.peer.uid, national_id))
        self._pushes = [one for one in self._pushes if (one.caller, one.national_id) != (caller.key, national_id)]

    def unsent(self, caller: Caller, national_id: str) -> None:
        """Forget the last push to a person: it woke no mobile."""
        mine = [one for one in self._pushes if (one.caller, one.national_id) == (caller.key, national_id)]
        if mine:
            self._pushes.remove(mine[-1])

    def has_agreed(self, caller: Caller, national_id: str) -> bool:
        """Return whether this person agreed to a login of this OS user since the daemon started."""
        return (caller.peer.uid, national_id) in self._agreed

    def _check(self, push: _Push) -> None:
        """Compare with those before, by this program for the person, by all of the user's programs, for all people."""
        limits, now = self._limits, push.sent
        self._pushes = [one for one in self._pushes if now < one.sent + limits.push_window]
        to_person = [one for one in self._pushes if (one.uid, one.national_id) == (push.uid, push.national_id)]
        by_program = [one for one in self._pushes if one.caller == push.caller]
        last = max((one.sent for one in to_person if one.caller == push.caller), default=None)
        if last is not None and now < last + limits.push_pause:
            raise PushTooSoon(reason="moment", retry_after=_seconds(last + limits.push_pause - now))
        for reason, found, most in (
            ("person", to_person, limits.pushes_to_person),
            ("program", by_program, limits.pushes_by_program),
        ):
            if len(found) >= most:
                until = found[-most].sent + limits.push_window
                raise PushTooSoon(reason=reason, retry_after=_seconds(until - now), times=len(found))


def _seconds(left: float) -> int:
    return max(1, math.ceil(left))


class ProviderConnection:
    """The configured provider, made when it is first wanted. ``heard`` is given what it says of logouts.

    ``peer_of`` tells whose browser comes back from its page.
    """

    def __init__(
        self,
        settings: Psc,
        secrets: SecretStore,
        clock: Clock,
        organisation: CsaLogins | None,
        heard: Heard,
        *,
        peer_of: PeerOf,
        limits: LoginLimits,
        outward: Outward,
    ) -> None:
        self.settings = settings
        self.pushes = PushLimit(clock, limits)
        self._secrets = secrets
        self._clock = clock
        self._organisation = organisation
        self._heard = heard
        self._peer_of = peer_of
        self._limits = limits
        self._outward = outward
        self._made: Made | None = None
        self._missing: PscIncomplete | None = None
        self._making = asyncio.Lock()
        self._trouble: CarddError | None = None
        self._seen_until = self._proven_until = 0.0
        self._looking: asyncio.Task[Reach | None] | None = None

    def check(self) -> Psc:
        """Return what is configured. Raises MethodUnavailable where nothing is, PscDirectNotAgreed."""
        if not self.settings.is_configured:
            raise MethodUnavailable(method=METHOD, why="no_psc")
        if not self.settings.is_agreed:
            raise PscDirectNotAgreed(host=self.settings.host)
        return self.settings

    async def provider(self) -> PscProvider:
        """Return the provider, made once, with this service's credentials.

        Raises as ``check``, PscIncomplete, PscClientExpired for a certificate that has ended.
        """
        from cardd.identity.ecps.credentials import provider_of  # noqa: PLC0415 - 300 ms, when the first person wants it

        async with self._making:
            if self._made is None:
                settings = self.check()
                try:
                    self._made = await provider_of(
                        settings,
                        self._secrets,
                        self._clock,
                        self._organisation,
                        self._heard,
                        peer_of=self._peer_of,
                        limits=self._limits,
                        outward=self._outward,
                    )
                except PscIncomplete as error:
                    self._missing = error
                    raise
                self._missing = None
            proof = self._made.proof
            if proof is not None and self._clock.now() >= proof.until:
                raise PscClientExpired(reason="expired", holder=proof.holder, until=proof.until.isoformat())
            return self._made.provider

    async def begin(self, caller: Caller, wanted: Wanted) -> PscAttempt:
        """Wake the mobile, or prepare the page. Raises PushTooSoon, and what ``PscProvider.begin`` raises."""
        provider = await self.provider()
        if wanted.flow is not Flow.MOBILE:
            with self.noting():
                return await provider.begin(wanted, caller.peer.uid)
        with self.pushes.push(caller, wanted.login_hint or ""), self.noting():
            return await provider.begin(wanted, caller.peer.uid)

    async def reach(self, *, proves: bool = True) -> Reach:
        """Look at the other side now. Raises what ``provider`` and ``PscProvider.reach`` raise."""
        provider = await self.provider()
        with self.noting():
            try:
                async with asyncio.timeout(self._limits.reach):
                    found = await provider.reach(proves=proves)
            except TimeoutError:
                raise PscSilent(host=self.settings.host, reason="timeout") from None
        if proves:
            self._proven_until = self._clock.monotonic() + PROVEN_FOR
        return found

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Surround a request to the other side: how it fares is told to whoever looks at the methods."""
        try:
            yield
        except OF_THE_SERVICE as error:
            self._note(error)
            raise
        self._note(None)

    async def problem(self) -> CarddError | None:
        """Return what keeps it from serving, as far as is known without asking the user to open a keyring.

        What was missed once is looked for again each time, until it is there; the other side is looked at where nobody
        did so in the last minute.
        """
        try:
            self.check()
            if self._made is None and self._missing is None:
                return None  # nobody has wanted it yet
            if self._made is None and self._missing and isinstance(self._missing.__cause__, SecretStoreUnavailable):
                return self._missing if self._missing.why == NO_KEYRING else None  # a login asks the user to open it
            await self.provider()
        except CarddError as error:
            return error
        if self._clock.monotonic() >= self._seen_until:
            await self._look()
        return self._trouble

    async def _look(self) -> None:
        """Look, for a moment; what comes later is known the next time."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._looked())
        await asyncio.wait({self._looking}, timeout=self._limits.look)

    async def _looked(self) -> Reach | None:
        try:
            return await self.reach(proves=self._clock.monotonic() >= self._proven_until)
        except CarddError as error:
            self._note(error)
            return None

    def _note(self, trouble: CarddError | None) -> None:
        self._trouble = trouble
        self._seen_until = self._clock.monotonic() + GOOD_FOR
        if trouble is not None:
            self._proven_until = 0.0

    async def close(self) -> None:
        """Give the connections back."""
        if self._looking is not None:
            self._looking.cancel()
        if self._made is not None:
            await self._made.provider.close()
