"""Which login methods serve on this workstation now, and what keeps the others from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cardd.core.readers import Readers
from cardd.errors import AssertionOrganisationMissing, CardAmbiguous, CarddError, MethodUnavailable
from cardd.identity import cpx_login, csa_login
from cardd.identity.csa_login import CsaLogin
from cardd.identity.ecps.login import EcpsLogin
from cardd.identity.ecps.way import METHOD as ECPS
from cardd.identity.expiry import Expiring, ExpiryWatch
from cardd.model import KeyPurpose


@dataclass(frozen=True, slots=True)
class MethodState:
    """One method: usable when there is no ``problem``; ``expiring`` are its certificates that are near their end.

    ``lack`` is what a session by it can be opened without, and no assertion for the DMP made.
    """

    method: str
    problem: CarddError | None
    expiring: tuple[Expiring, ...] = ()
    lack: CarddError | None = None


class Methods:
    """Looks at the readers and the configuration; nothing is asked of a person."""

    def __init__(self, readers: Readers, csa: CsaLogin, ecps: EcpsLogin, expiry: ExpiryWatch) -> None:
        self._readers = readers
        self._csa = csa
        self._ecps = ecps
        self._expiry = expiry

    async def states(self) -> list[MethodState]:
        """Every method."""
        return [
            MethodState(cpx_login.METHOD, await self._cpx()),
            await self._organisation(),
            MethodState(ECPS, await self._ecps.approach.problem()),
        ]

    async def _cpx(self) -> CarddError | None:
        try:
            if await self._csa.owns(self._readers.choose(None)):
                return MethodUnavailable(method=cpx_login.METHOD, why="organisation_s")
        except CardAmbiguous:
            return None  # the user picks one
        except CarddError as error:
            return error
        return None

    async def _organisation(self) -> MethodState:
        state = MethodState(csa_login.METHOD, None, self._expiry.expiring())
        try:
            info = await (await self._csa.card()).access.info()
        except CarddError as error:
            return replace(state, problem=error)
        return state if info.key(KeyPurpose.SIGNATURE) else replace(state, lack=AssertionOrganisationMissing())
