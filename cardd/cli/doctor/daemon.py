"""What only the daemon can tell: its way to Pro Santé Connect, and how it stands with codes of support."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cardd.cli.doctor.check import Finding, Unknowable, failure, ok, warning
from cardd.cli.doctor.surroundings import Surroundings
from cardd.client import CarddClient
from cardd.errors import DaemonUnreachable, Forbidden, MethodUnavailable

CLOCKS_MAY_DIFFER = 60.0  # seconds; beyond that the provider's tokens look as if they were of another time


async def psc(surroundings: Surroundings) -> Finding:
    """Whether a login by e-CPS could begin: credentials, provider, clocks. Nobody's mobile is woken."""
    async with _asked(surroundings) as cardd:
        try:
            found = await cardd.check_ecps()
        except MethodUnavailable:
            raise Unknowable("no_psc") from None
    if found.clock is not None and abs(found.clock) > CLOCKS_MAY_DIFFER:
        return failure("clock", seconds=round(abs(found.clock)))
    if not found.mobile:
        return warning("no_ciba")
    return ok() if found.resumes else ok("not_kept")


async def support(surroundings: Surroundings) -> Finding:
    """Whether the codes of support that are demanded can be given."""
    async with _asked(surroundings) as cardd:
        standing = await cardd.support()
    if not standing.demanded:
        raise Unknowable("no_support")
    if standing.locked:
        return warning("locked", seconds=standing.locked)
    return ok() if standing.enrolled else warning("not_enrolled")


@asynccontextmanager
async def _asked(surroundings: Surroundings) -> AsyncIterator[CarddClient]:
    """The daemon, which tells these things on its Unix socket only. Raises Unknowable."""
    try:
        async with surroundings.daemon() as cardd:
            yield cardd
    except DaemonUnreachable:
        raise Unknowable("no_daemon") from None
    except Forbidden:
        raise Unknowable("no_socket") from None
