"""Which login methods this workstation can use now, what each of the others lacks, and which suits which use.

A reason is a key of the texts (``advice.…``). Sources: the DMP's direct, indirect and AIR authentication (EX_AIR-010,
EX_AIR-080: AIR consults only, with the organisation's certificate; indirect authentication feeds and queries its own
references); Pro Santé Connect, whose card channel no software serves on Linux.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from cardd.core.readers import Readers
from cardd.errors import AssertionOrganisationMissing, CardAmbiguous, CarddError, MethodUnavailable
from cardd.identity.card_login import CPX
from cardd.identity.csa import CSA, CsaLogin
from cardd.identity.ecps.provider import METHOD as ECPS
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import Expiring, ExpiryWatch
from cardd.model import KeyPurpose


@dataclass(frozen=True, slots=True)
class MethodState:
    """One method: usable when there is no ``problem``; ``expiring`` are its certificates that are near their end.

    With a ``lack`` a session can be opened, but no assertion for the DMP can be made in it.
    """

    method: str
    problem: CarddError | None
    expiring: tuple[Expiring, ...] = ()
    lack: CarddError | None = None


class Methods:
    """The state of each login method, from the readers and the configuration; no person is asked."""

    def __init__(self, readers: Readers, csa: CsaLogin, ecps: EcpsLogins, expiry: ExpiryWatch) -> None:
        self._readers = readers
        self._csa = csa
        self._ecps = ecps
        self._expiry = expiry

    async def states(self) -> list[MethodState]:
        """Return the state of every method."""
        return [
            MethodState(CPX, await self._cpx()),
            await self._organisation(),
            MethodState(ECPS, await self._ecps.connection.problem()),
        ]

    async def _cpx(self) -> CarddError | None:
        try:
            if await self._csa.owns(self._readers.choose(None)):
                return MethodUnavailable(method=CPX, why="organisation_s")
        except CardAmbiguous:
            return None  # the user picks one
        except CarddError as error:
            return error
        return None

    async def _organisation(self) -> MethodState:
        state = MethodState(CSA, None, self._expiry.expiring())
        try:
            info = await (await self._csa.card()).access.info()
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


@dataclass(frozen=True, slots=True)
class Advice:
    """How one method suits one use, and why; ``together_with`` are the methods that it must be joined with there."""

    method: str
    fit: Fit
    reasons: tuple[str, ...]
    together_with: tuple[str, ...] = ()


TABLE: dict[Use, tuple[Advice, ...]] = {
    Use.LPS: (
        Advice(CPX, Fit.BEST, ("card_does_all",)),
        Advice(ECPS, Fit.GOOD, ("mobile_no_reader", "mobile_signs_nothing", "air_consults"), (CSA,)),
        Advice(CSA, Fit.PARTIAL, ("indirect_feeds", "person_declared")),
    ),
    Use.WEBPS: (
        Advice(ECPS, Fit.BEST, ("mobile_no_reader", "psc_card_channel", "mobile_signs_nothing")),
        Advice(CPX, Fit.GOOD, ("page_token", "card_needs_reader")),
        Advice(CSA, Fit.UNSUITED, ("person_declared",)),
    ),
    Use.ESTABLISHMENT: (
        Advice(CSA, Fit.BEST, ("indirect_feeds", "person_declared")),
        Advice(ECPS, Fit.GOOD, ("air_consults", "mobile_no_reader", "mobile_signs_nothing"), (CSA,)),
        Advice(CPX, Fit.GOOD, ("card_does_all", "card_needs_reader")),
    ),
    Use.MEDICO_SOCIAL: (
        Advice(ECPS, Fit.BEST, ("air_consults", "mobile_no_reader", "mobile_signs_nothing"), (CSA,)),
        Advice(CPX, Fit.GOOD, ("card_does_all", "card_needs_reader")),
        Advice(CSA, Fit.PARTIAL, ("indirect_feeds", "person_declared")),
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
