"""Which way to log in suits which use, and why: a table, with what is known of each way.

A reason is a key of the texts (``advice.…``). Sources: the DMP's direct, indirect and AIR authentication (EX_AIR-010,
EX_AIR-080: AIR consults only, with the organisation's certificate; indirect authentication feeds and queries its own
references); Pro Santé Connect, whose card channel no software serves on Linux.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from cardd.errors import CarddError
from cardd.identity.cpx_login import METHOD as CPX
from cardd.identity.csa_login import METHOD as CSA
from cardd.identity.ecps.way import METHOD as ECPS
from cardd.identity.methods import MethodState


class Use(StrEnum):
    """Where a professional works: private practice, a page of a WebPS, a hospital, a medico-social organisation."""

    LPS = "lps"
    WEBPS = "webps"
    ESTABLISHMENT = "establishment"
    MEDICO_SOCIAL = "medico-social"


class Fit(StrEnum):
    """How well a way suits a use."""

    BEST = "best"
    GOOD = "good"
    PARTIAL = "partial"
    UNSUITED = "unsuited"


@dataclass(frozen=True, slots=True)
class Advice:
    """How one way suits one use, and why; ``together_with`` are the ways it must be joined with to serve there."""

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
    """The best way for a use that works here now, what it must be joined with included; None where nothing does."""
    usable = {state.method for state in states if state.problem is None}
    for advice in TABLE[use]:
        if advice.fit is not Fit.UNSUITED and advice.method in usable and not missing(advice, states):
            return advice.method
    return None


def missing(advice: Advice, states: Sequence[MethodState]) -> list[tuple[str, CarddError]]:
    """What this workstation has not that the way needs to serve there, beside its own problem: each with its method."""
    known = {state.method: state for state in states}
    joined = [(name, known[name].problem) for name in advice.together_with]
    lacks = [(name, known[name].lack) for name in (advice.method, *advice.together_with)]
    return [(name, error) for name, error in (*joined, *lacks) if error is not None]
