"""The e-CPS login against oidc-provider: how soon an approval is known here, and what waiting for many costs."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from cardd.oidc import ciba
from cardd.oidc.client_auth import SecretBasic
from cardd.oidc.provider import Provider
from cardd.oidc.settings import ProviderSettings
from cardd.oidc.token import Token
from cardd.system.clock import SystemClock
from tests.bench.measure import Measure
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import SECRET, PscRig

PENDING = 200
WATCHED = 20.0


async def approval_to_login(rounds: int) -> Measure:
    """The slowest of several: from the approval at the provider to the validated login, less one poll interval."""
    async with _service(interval=1) as (psc, provider):
        await _approved(psc, provider, 0.0)  # the keys and the connection are there from now on
        # around the first poll: whoever just misses it waits longest
        late = [await _approved(psc, provider, psc.interval + 0.005 * number) for number in range(rounds)]
        above = (max(late) - psc.interval) * 1000
    return Measure(f"approval to login, slowest of {rounds}, above the interval", above, "ms", 50)


async def pending_logins(interval: int) -> Measure:
    """Processor time of this process while 200 logins wait, the provider being another process."""
    async with _service(interval=interval) as (_, provider):
        pending = [await ciba.start(provider, ALICE) for _ in range(PENDING)]
        waiting = [asyncio.create_task(login.finish()) for login in pending]
        await asyncio.sleep(interval + 1)  # the first polls open the connections
        began, used = time.monotonic(), time.process_time()
        await asyncio.sleep(WATCHED)  # the measure itself: nothing is waited for
        share = (time.process_time() - used) / (time.monotonic() - began)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    target = 5 if interval == 5 else None
    return Measure(f"{PENDING} logins pending, interval {interval} s", share * 100, "% of a core", target)


async def _approved(psc: PscRig, provider: Provider, after: float) -> float:
    pending = await ciba.start(provider, ALICE)
    waiting = asyncio.create_task(pending.finish())
    await asyncio.sleep(after)
    began = time.monotonic()
    await psc.approve(ALICE)
    await waiting
    return time.monotonic() - began


@asynccontextmanager
async def _service(interval: int) -> AsyncIterator[tuple[PscRig, Provider]]:
    psc = PscRig(interval=interval)
    await psc.start()
    tls = ssl.create_default_context(cadata=psc.authority.pem.decode())
    settings = ProviderSettings(issuer=psc.issuer, client_id="basic")
    provider = Provider(settings, SecretBasic("basic", Token(SECRET)), SystemClock(), tls)
    try:
        yield psc, provider
    finally:
        await provider.close()
        await psc.stop()
