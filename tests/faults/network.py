"""Faults of what cardd reaches over the network: the relay's server, the proxy on the way, the provider."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from tests.faults.injecting import stands_still
from tests.faults.site import Site
from tests.faults.table import Listed, add, fault
from tests.faults.work import LOST, Caller, Problem
from tests.integration.workstation import text, wait_until
from tests.rig.oidc.people import ALICE

LONGER = 6.0  # seconds, than a server may say nothing here


def upstream(site: Site, does: str, seconds: float) -> None:
    """Have the server do so for a while."""
    backend = site.around.backend
    asked = backend.asked
    backend.does = does
    wait_until(lambda: backend.asked > asked + 1)
    time.sleep(seconds)
    backend.does = "answer"


for told, does, seconds, within, says in (
    ("in the middle of an answer, for 2 s", "cut", 2, 2, "upstream.closed"),
    ("in the middle of an answer of 8 MB, for 2 s", "cut late", 2, 2, LOST),
    ("or silent, longer than it may be", "hang", LONGER, 6, "upstream.timeout"),
):
    inject = partial(upstream, does=does, seconds=seconds)
    add(Listed.UPSTREAM, told, inject, within=within, says=(says,), cuts=says == LOST)


@fault(Listed.PROXY, "for 2 s", within=3, says=("upstream.unreachable",))
def proxy_down(site: Site) -> None:
    """End the proxy, and start it again."""
    site.around.proxy.stop()
    time.sleep(2)
    site.around.proxy.start()


@fault(Listed.PROXY, "or hanging, for 6 s", within=6)
def proxy_hangs(site: Site) -> None:
    """Have it say nothing."""
    stands_still(site.around.proxy.pid, LONGER)


def logs_in(site: Site) -> str:
    """Log in by e-CPS, and out; return how it ended."""
    assert site.work
    caller, secret = Caller(site.station.daemon.port), site.work.programs[0].secret
    try:
        answer = caller.ask("POST", "/v1/sessions", {"method": "ecps", "login_hint": ALICE}, secret)
        path, token = f"/v1/sessions/{answer['id']}", text(answer, "token")
        while answer["state"] == "pending":
            time.sleep(0.1)
            answer = caller.ask("GET", path, None, token)
        caller.ask("DELETE", path, None, token)
    except Problem as problem:
        return str(problem)
    return text(answer, "state")


def while_broken(site: Site, breaks: Callable[[], None], mends: Callable[[], None]) -> None:
    """Have a login that works, one that comes to nothing, and one that works again."""
    assert logs_in(site) == "active"
    breaks()
    try:
        assert (came := logs_in(site)) != "active", came
    finally:
        mends()
    wait_until(lambda: logs_in(site) == "active")


def provider(site: Site, **how: object) -> None:
    """Let the provider be so during a login."""
    there = site.around.provider
    before = {name: getattr(there, name) for name in how}

    def be(qualities: dict[str, object]) -> None:
        for name, value in qualities.items():
            setattr(there, name, value)

    while_broken(site, partial(be, how), partial(be, before))


@fault(Listed.PROVIDER, "listens no more", within=2)
def provider_gone(site: Site) -> None:
    """Let nobody listen where it was."""
    around = site.around
    while_broken(
        site, lambda: around.loop.run(around.provider.leave()), lambda: around.loop.run(around.provider.listen())
    )


@fault(Listed.PROVIDER, "says nothing once a login begins, longer than it may", within=2)
def provider_silent(site: Site) -> None:
    """Have it keep the login's first answer to itself."""
    around = site.around

    async def answers(*, soon: bool) -> None:
        (around.provider.may_start.set if soon else around.provider.may_start.clear)()

    while_broken(site, lambda: around.loop.run(answers(soon=False)), lambda: around.loop.run(answers(soon=True)))


for name, how in (
    ("answers 503", {"is_away": True}),
    ("answers 503 after 3 s", {"is_away": True, "away_after": 3.0}),
    ("gives another person's token", {"claims": {"sub": "f:SIMULATION:899000000099"}}),
    ("gives a token for another service", {"claims": {"aud": "another"}}),
    ("gives no token but words", {"raw_id_token": "SIMULATION"}),
):
    add(Listed.PROVIDER, name, partial(provider, **how), within=2)
