"""Which login methods this workstation can use now, what each of the others lacks, and which suits which use.

Sources: the DMP's direct, indirect and AIR authentication (EX_AIR-010,
EX_AIR-080: AIR consults only, with the organisation's certificate; indirect authentication feeds and queries its own
references); Pro Santé Connect, whose card channel no software serves on Linux.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from enum import StrEnum

from cardd.core.inserted_card import InsertedCard
from cardd.core.owners import OwnedReaders
from cardd.errors import (
    AssertionOrganisationMissing,
    CardAmbiguous,
    CarddError,
    MethodUnavailable,
    PinBlocked,
    PscNoCiba,
)
from cardd.i18n import N_, Domain
from cardd.identity.card_login import CPX
from cardd.identity.csa import CSA, CsaLogins
from cardd.identity.ecps.provider import METHOD as ECPS
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import Expiring, ExpiryWatch
from cardd.model import Caller, KeyPurpose, PinState
from cardd.ports import Prompter
from cardd.values import Value, replace

_ = Domain("advice")

ASKING_MAX = 5.0  # seconds for what the card says of its PIN; the slowest one that is known takes two


class MethodState(Value):
    """One method: usable when there is no ``problem``; ``expiring`` are its certificates that are near their end.

    With a ``lack`` a session can be opened, but no assertion for the DMP can be made in it; with a ``limit`` one of the
    ways to log in does not work.
    """

    method: str
    problem: CarddError | None
    expiring: tuple[Expiring, ...] = ()
    lack: CarddError | None = None
    limit: CarddError | None = None


class Methods:
    """The state of each login method, from the readers and the configuration; no person is asked."""

    def __init__(
        self, readers: OwnedReaders, dialogs: Prompter, csa: CsaLogins, ecps: EcpsLogins, expiry: ExpiryWatch
    ) -> None:
        self._readers = readers
        self._dialogs = dialogs
        self._csa = csa
        self._ecps = ecps
        self.expiry = expiry

    async def states(self, caller: Caller) -> list[MethodState]:
        """Return the state of every method, as it is for this caller."""
        return [
            MethodState(CPX, await self._cpx(caller)),
            await self._organisation(caller),
            await self._mobile(),
        ]

    async def _mobile(self) -> MethodState:
        problem = await self._ecps.connection.problem()
        is_left = isinstance(problem, PscNoCiba) and not self._ecps.connection.settings.by_proxy  # the browser's way
        return MethodState(ECPS, None, limit=problem) if is_left else MethodState(ECPS, problem)

    async def _cpx(self, caller: Caller) -> CarddError | None:
        """Return what is wrong with the only card, or with every one of several: of others the user picks one.

        No card serves where nobody could be asked for its PIN.
        """
        try:
            problems = [await self._problem_of(card) for card in self._candidates(caller)]
            self._dialogs.ensure_reachable(caller.peer.uid)
        except CarddError as error:
            return error
        return None if None in problems else problems[0]

    def _candidates(self, caller: Caller) -> list[InsertedCard]:
        readers = self._readers.of(caller)
        try:
            return [readers.choose(None)]
        except CardAmbiguous as several:
            return [readers.choose(card) for card in several.cards]

    async def _problem_of(self, card: InsertedCard) -> CarddError | None:
        try:
            if await self._csa.owns(card):
                return MethodUnavailable(method=CPX, why="organisation_s")
            async with asyncio.timeout(ASKING_MAX):
                return PinBlocked() if await card.access.pin_state() is PinState.BLOCKED else None
        except TimeoutError:
            return None  # it is busy, or slow: a login tells
        except CarddError as error:
            return error

    async def _organisation(self, caller: Caller) -> MethodState:
        state = MethodState(CSA, None, self.expiry.expiring())
        try:
            info = await (await self._csa.card(caller)).access.info()
        except CarddError as error:
            return replace(state, problem=error)
        return state if info.key(KeyPurpose.SIGNATURE) else replace(state, lack=AssertionOrganisationMissing())


class Use(StrEnum):
    """Where a professional works: private practice, a page of a WebPS, a hospital, a medico-social organisation."""

    LPS = "lps"
    WEBPS = "webps"
    ESTABLISHMENT = "establishment"
    MEDICO_SOCIAL = "medico-social"


class Fit(StrEnum):
    """How well a method suits a use."""

    BEST = "best"
    GOOD = "good"
    PARTIAL = "partial"
    UNSUITED = "unsuited"


class Advice(Value):
    """How one method suits one use, and why (in English); ``together_with`` are those that it must be joined with."""

    method: str
    fit: Fit
    reasons: tuple[str, ...]
    together_with: tuple[str, ...] = ()

    def explained(self, language: str) -> list[str]:
        """Return the reasons in the language."""
        return [_(reason, language) for reason in self.reasons]


CARD_DOES_ALL = N_("The card proves who you are, opens the DMP's TLS, and signs documents and assertions.")
CARD_NEEDS_READER = N_("Each workstation needs a reader, and the card stays in it.")
MOBILE_NO_READER = N_("It needs your mobile and no reader.")
MOBILE_SIGNS_NOTHING = N_("e-CPS proves who you are and signs no document.")
PSC_CARD_CHANNEL = N_("Pro Santé Connect's own card login is not served on Linux; its mobile login is.")
PAGE_TOKEN = N_("The page gets a token made for its own address, and may ask for signatures.")
AIR_CONSULTS = N_("Joined with the organisation's certificate (AIR) it consults the DMP, and does not feed it.")
INDIRECT_FEEDS = N_(
    "The organisation's certificate feeds the DMP and finds its own documents there, and consults no other."
)
STRONG_THERE = N_(
    "Strong authentication is mandatory since 1 January 2026: the person's own login at the organisation must have two "
    "factors."
)
PERSON_DECLARED = N_("It proves the organisation; the person is only named by the software.")

TABLE: dict[Use, tuple[Advice, ...]] = {
    Use.LPS: (
        Advice(CPX, Fit.BEST, (CARD_DOES_ALL,)),
        Advice(ECPS, Fit.GOOD, (MOBILE_NO_READER, MOBILE_SIGNS_NOTHING, AIR_CONSULTS), (CSA,)),
        Advice(CSA, Fit.PARTIAL, (INDIRECT_FEEDS, PERSON_DECLARED, STRONG_THERE)),
    ),
    Use.WEBPS: (
        Advice(ECPS, Fit.BEST, (MOBILE_NO_READER, PSC_CARD_CHANNEL, MOBILE_SIGNS_NOTHING)),
        Advice(CPX, Fit.GOOD, (PAGE_TOKEN, CARD_NEEDS_READER)),
        Advice(CSA, Fit.UNSUITED, (PERSON_DECLARED,)),
    ),
    Use.ESTABLISHMENT: (
        Advice(CSA, Fit.BEST, (INDIRECT_FEEDS, PERSON_DECLARED, STRONG_THERE)),
        Advice(ECPS, Fit.GOOD, (AIR_CONSULTS, MOBILE_NO_READER, MOBILE_SIGNS_NOTHING), (CSA,)),
        Advice(CPX, Fit.GOOD, (CARD_DOES_ALL, CARD_NEEDS_READER)),
    ),
    Use.MEDICO_SOCIAL: (
        Advice(ECPS, Fit.BEST, (AIR_CONSULTS, MOBILE_NO_READER, MOBILE_SIGNS_NOTHING), (CSA,)),
        Advice(CPX, Fit.GOOD, (CARD_DOES_ALL, CARD_NEEDS_READER)),
        Advice(CSA, Fit.PARTIAL, (INDIRECT_FEEDS, PERSON_DECLARED, STRONG_THERE)),
    ),
}
"""For each use its ways, the best first."""


def advised(use: Use, states: Sequence[MethodState]) -> str | None:
    """Return the best method for a use that works here now, joined methods included; None where nothing does."""
    usable = {state.method for state in states if state.problem is None}
    for advice in TABLE[use]:
        if advice.fit is not Fit.UNSUITED and advice.method in usable and not missing(advice, states):
            return advice.method
    return None


def missing(advice: Advice, states: Sequence[MethodState]) -> list[tuple[str, CarddError]]:
    """Return what the method needs for that use and the workstation lacks, beside its own problem, by method."""
    known = {state.method: state for state in states}
    joined = [(name, known[name].problem) for name in advice.together_with]
    lacks = [(name, known[name].lack) for name in (advice.method, *advice.together_with)]
    return [(name, error) for name, error in (*joined, *lacks) if error is not None]
