"""Providers that are broken in every way that a site meets: each has its code, and words that say what to do.

Doctor looks; every program is told by ``/v1/methods``; nobody's mobile is woken.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cardd.cli.doctor.check import Level
from cardd.cli.doctor.surroundings import Surroundings
from cardd.errors import SecretStoreUnavailable
from cardd.model import JsonValue
from cardd.outward import DIRECT, Outward
from cardd.secret import Secret
from tests.api.ecps import LOGIN, Place, pair, workbench_at
from tests.api.workbench import Workbench
from tests.cli.doctor import result
from tests.rig.memory import MemorySecrets
from tests.rig.oidc.fake import CLIENT, FakeProvider
from tests.rig.oidc.pki import ORGANISATION, Authority
from tests.rig.ports import free_port

NOT_ALLOWED = {"error": "invalid_grant", "error_description": "Client not allowed OIDC CIBA Grant"}
WRONG = {"error": "unauthorized_client", "error_description": "Invalid client or Invalid client credentials"}


class NoKeyring(MemorySecrets):
    """A machine without one."""

    async def get(self, name: str) -> Secret | None:
        raise SecretStoreUnavailable(why="keyring.backends.fail.Keyring")


@dataclass
class Site:
    """A provider, and the workstation that wants it: what a case breaks before the daemon starts."""

    liar: FakeProvider
    authority: Authority
    directory: Path
    monkeypatch: pytest.MonkeyPatch
    issuer: str = ""
    answer: float = 15.0
    settings: dict[str, Any] = field(default_factory=dict)
    secrets: MemorySecrets | None = None
    held: socket.socket | None = None
    outward: Outward = DIRECT

    def silent(self) -> None:
        """Somebody listens there, and says nothing."""
        self.held = socket.create_server(("127.0.0.1", 0))
        self.issuer = f"https://127.0.0.1:{self.held.getsockname()[1]}/realm"
        self.answer = 0.2

    def expired_certificate(self) -> None:
        """The service's own certificate ended."""
        file = self.directory / "organisation.p12"
        file.write_bytes(self.authority.issue(ORGANISATION, days=(-9, -2)).pkcs12(b"right"))
        self.settings |= {"certificate": file, "authentication": "tls"}

    def no_name(self) -> None:
        """No name server knows it."""
        known = socket.getaddrinfo

        def unknown(host: str, *more: Any, **named: Any) -> Any:
            if host == "psc.invalid":
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return known(host, *more, **named)

        self.monkeypatch.setattr(socket, "getaddrinfo", unknown)
        self.issuer, self.settings = "https://psc.invalid/realm", {"sandbox": True}

    def blocked(self) -> None:
        """Let the kernel refuse as it does under IPAddressDeny."""

        async def denied(*_: Any, **__: Any) -> socket.socket:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        self.monkeypatch.setattr("aiohttp.connector.aiohappyeyeballs.start_connection", denied)

    def always(self, status: int, told: dict[str, str]) -> None:
        """Whatever is redeemed, it says this."""
        self.liar.answers.extend((status, dict[str, JsonValue](told)) for _ in range(9))

    def behind(self, proxy: str) -> None:
        """The network has this proxy."""
        self.outward, self.issuer = Outward(proxy), "https://psc.example/realm"
        self.settings = {"sandbox": True}

    def too_often(self) -> None:
        """The provider has a limit."""
        self.liar.is_away, self.liar.away_status = True, 429

    def other(self, **named: Any) -> None:
        """Show another certificate."""
        self.liar.issued = self.authority.issue("psc.simulation.example", **named)


@dataclass(frozen=True)
class Case:
    """What is broken, and what doctor says of it."""

    breaks: Callable[[Site], Any]
    code: str
    reason: str | None
    words: str
    remedy: str


CASES = {
    "dns": Case(Site.no_name, "psc.unavailable", "dns", "for the name psc.invalid", "network.proxy"),
    "refused": Case(
        lambda site: setattr(site, "issuer", f"https://127.0.0.1:{free_port()}/realm"),
        "psc.unavailable", "refused", "refuses the connection", "firewall",
    ),
    "timeout": Case(Site.silent, "psc.unavailable", "timeout", "did not answer in time", "network.proxy"),
    "blocked": Case(Site.blocked, "psc.unavailable", "blocked", "IPAddressDeny", "network.conf"),
    "another authority": Case(
        lambda site: setattr(site.liar, "authority", Authority()),
        "psc.certificate", "authority", "was issued by “AC SIMULATION”", "psc.authorities",
    ),
    "an expired certificate": Case(
        lambda site: site.other(days=(-20, -10)),
        "psc.certificate", "expired", "(psc.simulation.example) ended on ", "timedatectl",
    ),
    "a certificate of tomorrow": Case(
        lambda site: site.other(days=(1, 2)), "psc.certificate", "early", "is valid from ", "timedatectl",
    ),
    "another's certificate": Case(
        lambda site: site.other(host="elsewhere.example", addresses=()),
        "psc.certificate", "name", "shows the certificate of “psc.simulation.example”", "antivirus",
    ),
    "no TLS": Case(
        lambda site: setattr(site.liar, "authority", None),
        "psc.unavailable", "cut", "does not answer, or not properly", "connection",
    ),
    "no such realm": Case(
        lambda site: setattr(site.liar, "is_silent", True), "psc.unavailable", "realm", "(404)", "psc.issuer",
    ),
    "a wrong secret": Case(
        lambda site: site.always(401, WRONG),
        "psc.client_refused", "secret", f"“{CLIENT}” with the secret", "psc-client-secret",
    ),
    "no CIBA": Case(
        lambda site: site.always(400, NOT_ALLOWED),
        "psc.no_ciba", None, "has not enabled", "browser",
    ),
    "asked too often": Case(
        Site.too_often,
        "psc.unavailable", "busy", "(429)", "Wait a minute",
    ),
    "a fault of its own": Case(
        lambda site: setattr(site.liar, "is_away", True), "psc.unavailable", "failing", "HTTP 503", "Try again later",
    ),
    "an expired client certificate": Case(
        Site.expired_certificate, "psc.client_refused", "expired", f"({ORGANISATION}) ended on ", "renewed",
    ),
    "a proxy that is down": Case(
        lambda site: site.behind(f"http://127.0.0.1:{free_port()}"),
        "psc.unavailable", "proxy", "it cannot be reached", "network.proxy",
    ),
    "no keyring": Case(
        lambda site: setattr(site, "secrets", NoKeyring()), "psc.incomplete", None, "no keyring", "systemd credential",
    ),
}  # fmt: skip


@asynccontextmanager
async def workstation(site: Site, case: Case) -> AsyncIterator[Workbench]:
    """The daemon, and a provider that is broken in this way."""
    case.breaks(site)
    async with site.liar:
        api = workbench_at(
            Place(site.issuer or site.liar.issuer.replace("http:", "https:"), site.authority),
            site.directory,
            CLIENT,
            outward=site.outward,
            **site.settings,
        )
        api.ecps.limits.answer, api.ecps.limits.pauses = site.answer, ()
        api.secrets.values["psc-certificate"] = b"right"
        if site.secrets is not None:
            api.secrets.now = site.secrets
        await api.start()
        try:
            yield api
        finally:
            await api.stop()
            if site.held is not None:
                site.held.close()


@pytest.mark.parametrize("name", CASES)
async def test_each_way_to_be_broken_is_told_by_its_own_words(
    name: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, site = CASES[name], Site(FakeProvider(authority), authority, tmp_path, monkeypatch)
    async with workstation(site, case) as api:
        english = await result("psc", Surroundings(base=Path(api.path), language="en"))
        french = await result("psc", Surroundings(base=Path(api.path), language="fr"))
        assert (english.level, english.code, english.params.get("reason")) == (Level.FAILURE, case.code, case.reason)
        assert case.words in english.sentence("en")
        assert case.remedy in english.remedy("en")
        assert french.sentence("fr") != english.sentence("en")
        told = await api.call("GET", "/v1/methods", via="unix", headers={"Accept-Language": "en"})
        [ecps] = [method for method in told.json["methods"] if method["method"] == "ecps"]  # type: ignore[attr-defined]
        assert (ecps["problem"], ecps.get("reason")) == (case.code, case.reason)
        assert ecps["usable"] is (name == "no CIBA")  # the browser is left
        assert case.words in ecps["detail"]
    assert not [form for form in site.liar.forms if "login_hint" in form]


async def test_a_provider_that_says_nothing_is_told_before_whoever_looks_gives_up(
    desk: Workbench, liar: FakeProvider
) -> None:
    desk.ecps.limits.reach = 0.2  # three tries would take 45 s
    liar.is_away, liar.away_after = True, 5.0
    got = await desk.call("POST", "/v1/methods/ecps/check", {}, via="unix")
    assert (got.code, got.json["reason"]) == ("psc.unavailable", "timeout")
    assert await problem(desk) == "psc.unavailable"


async def test_what_a_login_met_is_told_to_whoever_looks_at_the_methods_and_so_is_that_it_passed(
    desk: Workbench, liar: FakeProvider
) -> None:
    secret = await pair(desk)
    liar.start_refusal = (401, WRONG)
    refused = await desk.call("POST", "/v1/sessions", LOGIN, bearer=secret)
    assert (refused.status, refused.code, refused.json["reason"]) == (502, "psc.client_refused", "secret")
    assert await problem(desk) == "psc.client_refused"
    liar.start_refusal = None
    assert (await desk.call("POST", "/v1/sessions", LOGIN, bearer=secret)).status == 202
    assert await problem(desk) is None


async def test_programs_that_look_at_the_methods_often_ask_the_provider_seldom(
    desk: Workbench, liar: FakeProvider
) -> None:
    await desk.call("POST", "/v1/methods/ecps/check", {}, via="unix")
    asked = liar.asked
    assert [await problem(desk) for _ in range(5)] == [None] * 5
    assert liar.asked == asked
    desk.clock.seconds += 61
    assert await problem(desk) is None
    assert liar.asked > asked
    assert len(liar.forms) == 1  # what it proved an hour ago holds


async def test_a_provider_that_is_slow_keeps_nobody_who_looks_at_the_methods_for_long(
    desk: Workbench, liar: FakeProvider
) -> None:
    desk.ecps.limits.look = 0.1
    await desk.call("POST", "/v1/methods/ecps/check", {}, via="unix")
    desk.clock.seconds += 61
    liar.is_away, liar.away_after = True, 1.0
    began = asyncio.get_running_loop().time()
    assert await problem(desk) is None
    assert asyncio.get_running_loop().time() - began < liar.away_after


async def problem(api: Workbench) -> object:
    """What keeps the e-CPS from serving, as every program is told."""
    got = await api.call("GET", "/v1/methods", via="unix")
    [ecps] = [method for method in got.json["methods"] if method["method"] == "ecps"]  # type: ignore[attr-defined]
    return ecps.get("problem")
