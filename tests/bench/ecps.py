"""The e-CPS login against oidc-provider: how soon an approval is known here, and what waiting for many costs."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from cardd.oidc import ciba
from cardd.oidc.client_auth import SecretBasic
from cardd.oidc.discovery import ProviderSettings
from cardd.oidc.provider import Provider
from cardd.oidc.tokens import Token
from cardd.system.host import SystemClock
from tests.bench.measure import Measure
from tests.bench.process import idle_wake_ups
from tests.rig.daemon import DaemonProcess
from tests.rig.lps import EventStream, Lps, UnixConnection
from tests.rig.oidc.people import ALICE
from tests.rig.oidc.provider import SECRET, PscRig
from tests.rig.pcscd import Pcscd
from tests.rig.pinentry import ScriptedPinentry

SETTINGS = """
[psc]
issuer = "{issuer}"
client_id = "basic"
authorities = "{authorities}"
"""
PENDING = 200
WATCHED = 20.0
KEPT_ALIVE = 35.0  # seconds after which the last login's connection to the provider is closed for sure


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


def open_session(directory: Path, rounds: int) -> Iterator[Measure]:
    """The whole daemon: from the approval to an active session, and what an open one makes it do while nobody asks."""
    place = directory / "ecps"
    (place / "credentials").mkdir(parents=True)
    psc = PscRig(interval=1)
    asyncio.run(psc.start())
    (place / "psc.pem").write_bytes(psc.authority.pem)
    (place / "credentials" / "cardd.psc-client-secret").write_text(SECRET)
    pinentry = ScriptedPinentry(place)
    extra = SETTINGS.format(issuer=psc.issuer, authorities=place / "psc.pem")
    around = {"CREDENTIALS_DIRECTORY": str(place / "credentials")}
    pcscd = Pcscd(place)
    pcscd.start()
    daemon = DaemonProcess(
        place, pinentry=pinentry.path, environment={**around, **pcscd.environment}, extra=extra
    ).start()
    try:
        secret = _paired(daemon)
        lps = Lps(daemon.port, secret)
        events = EventStream(UnixConnection(daemon.socket), secret)
        late = [_until_active(lps, events, psc) for _ in range(rounds)]
        yield Measure("approval to an active session, slowest, above the interval", 1000 * (max(late) - 1), "ms", 50)
        time.sleep(KEPT_ALIVE)
        idle = idle_wake_ups(daemon)
        yield Measure(f"{idle.name}, {rounds} e-CPS sessions open", idle.value, idle.unit, 0)
    finally:
        daemon.stop()
        pcscd.stop()
        asyncio.run(psc.stop())


def _paired(daemon: DaemonProcess) -> str:
    status, client = Lps(daemon.port).call(
        "POST", "/v1/clients", {"name": "Bench", "vendor": "SIMULATION", "software_id": "b"}
    )
    assert status == 201, client
    return str(client["client_secret"])


def _until_active(lps: Lps, events: EventStream, psc: PscRig) -> float:
    """Seconds from the approval, which comes just after a poll, to the event."""
    status, opened = lps.call("POST", "/v1/sessions", {"method": "ecps", "login_hint": ALICE})
    assert status == 202, opened
    time.sleep(1.05)  # past the first poll: whoever just misses it waits longest
    began = time.monotonic()
    asyncio.run(psc.approve(ALICE))
    while True:
        _, event = events.wait("session.opened")
        if event["session"] == opened["id"]:
            return time.monotonic() - began


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
