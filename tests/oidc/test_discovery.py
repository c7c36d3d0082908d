"""What a provider says of itself, and what of it is believed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cardd.errors import (
    CarddError,
    PscDiscoveryHost,
    PscDiscoveryInsecure,
    PscDiscoveryIssuer,
    PscGarbled,
    PscNoCiba,
    PscUnavailable,
)
from cardd.oidc import ciba
from cardd.oidc.discovery import check_endpoint, domain_of
from cardd.oidc.provider import Provider
from tests.oidc.services import fake_service
from tests.rig.oidc.fake import FakeProvider
from tests.rig.oidc.people import ALICE

PSC = "https://auth.bas.psc.esante.gouv.fr/auth/realms/esante-wallet"


class Clock:
    """Time that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds


async def test_the_standard_address_serves_where_psc_s_own_is_not_there(fake: FakeProvider, at_fake: Provider) -> None:
    fake.no_wallet_place = True
    assert (await at_fake.discovery.metadata()).issuer == fake.issuer


async def test_the_metadata_is_fetched_again_when_it_is_an_hour_old(fake: FakeProvider) -> None:
    clock = Clock()
    async with fake_service(fake, clock=clock) as provider:
        first = await provider.discovery.metadata()
        clock.seconds += 3500
        assert await provider.discovery.metadata() is first
        clock.seconds += 200
        assert await provider.discovery.metadata() is not first


async def test_the_metadata_serves_on_while_the_provider_is_away_and_no_longer_once_it_says_otherwise(
    fake: FakeProvider,
) -> None:
    clock = Clock()
    async with fake_service(fake, clock=clock) as provider:
        first = await provider.discovery.metadata()
        clock.seconds += 3700
        fake.is_silent = True
        assert await provider.discovery.metadata() is first
        fake.is_silent, fake.discovery = False, {"issuer": "https://psc.example/realm"}
        assert await provider.discovery.metadata() is first  # it is not asked for each request meanwhile
        clock.seconds += 31
        with pytest.raises(PscDiscoveryIssuer):
            await provider.discovery.metadata()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"issuer": "http://127.0.0.1:1/realm"}, PscDiscoveryIssuer),
        ({"issuer": None}, PscDiscoveryIssuer),
        ({"token_endpoint": "http://psc.example/token"}, PscDiscoveryInsecure),
        ({"token_endpoint": "https://psc.example/token"}, PscDiscoveryHost),
        ({"backchannel_authentication_endpoint": "https://psc.example/ciba"}, PscDiscoveryHost),
        ({"mtls_endpoint_aliases": {"token_endpoint": "https://psc.example/token"}}, PscDiscoveryHost),
        ({"jwks_uri": "file:///etc/passwd"}, PscDiscoveryInsecure),
        ({"userinfo_endpoint": "https://u:p@127.0.0.1/"}, PscDiscoveryInsecure),
        ({"userinfo_endpoint": "/userinfo"}, PscDiscoveryInsecure),
        ({"userinfo_endpoint": "https://[/"}, PscDiscoveryInsecure),
        ({"userinfo_endpoint": "https://xn--a-.fr/"}, PscDiscoveryInsecure),
        ({"userinfo_endpoint": None}, PscGarbled),
        ({"jwks_uri": ["https://127.0.0.1/certs"]}, PscGarbled),
    ],
    ids=str,
)
async def test_what_is_not_believed_is_told_by_its_code(
    fake: FakeProvider, at_fake: Provider, told: dict[str, object], expected: type[CarddError]
) -> None:
    fake.discovery = dict(told)
    with pytest.raises(CarddError) as refused:
        await ciba.start(at_fake, ALICE)
    assert type(refused.value) is expected
    assert fake.forms == []


async def test_an_issuer_that_differs_by_a_slash_is_another_one(fake: FakeProvider) -> None:
    async with fake_service(fake, issuer=f"{fake.issuer}/") as provider:
        with pytest.raises(PscDiscoveryIssuer):
            await provider.discovery.metadata()


async def test_a_host_that_the_configuration_allows_may_be_named(fake: FakeProvider) -> None:
    fake.discovery["authorization_endpoint"] = "https://wallet.example/auth"
    async with fake_service(fake, extra_hosts=("wallet.example",)) as provider:
        assert (await provider.discovery.metadata()).endpoint("authorization") == "https://wallet.example/auth"


async def test_plain_http_needs_more_than_an_issuer_that_asks_for_it(fake: FakeProvider) -> None:
    async with fake_service(fake, issuer="http://psc.example/realm") as provider:
        with pytest.raises(PscDiscoveryInsecure):
            await provider.discovery.metadata()


async def test_a_provider_without_a_description_is_unavailable(fake: FakeProvider) -> None:
    async with fake_service(fake, issuer=fake.issuer.replace("/realm", "/certs")) as provider:
        fake.is_silent = True
        with pytest.raises(PscUnavailable):
            await provider.discovery.metadata()


async def test_a_provider_without_ciba_is_told_so(fake: FakeProvider, at_fake: Provider) -> None:
    fake.discovery["backchannel_authentication_endpoint"] = None
    with pytest.raises(PscNoCiba):
        await ciba.start(at_fake, ALICE)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("auth.bas.psc.esante.gouv.fr", "esante.gouv.fr"),
        ("esante.gouv.fr", "esante.gouv.fr"),
        ("gouv.fr", "gouv.fr"),
        ("login.example.org", "example.org"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("psc.mairie-x.asso.fr", "mairie-x.asso.fr"),
        ("editor.github.io", "editor.github.io"),
        ("www.ville.kobe.jp", "www.ville.kobe.jp"),
        ("localhost", "localhost"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
    ],
)
def test_a_domain_is_what_one_organisation_registers(host: str, domain: str) -> None:
    assert domain_of(host) == domain


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://wallet.bas.psc.esante.gouv.fr/auth", None),
        ("https://esante.gouv.fr/", None),
        ("https://impots.gouv.fr/auth", PscDiscoveryHost),
        ("https://esante.gouv.fr.example/auth", PscDiscoveryHost),
        ("https://notesante.gouv.fr/auth", PscDiscoveryHost),
        ("https://127.0.0.1/auth", PscDiscoveryHost),
        ("http://auth.bas.psc.esante.gouv.fr/auth", PscDiscoveryInsecure),
        ("http://127.0.0.1/auth", PscDiscoveryInsecure),
    ],
)
def test_only_hosts_of_the_issuer_s_domain_are_its_own(address: str, expected: type[CarddError] | None) -> None:
    if expected is None:
        check_endpoint("token_endpoint", address, PSC, (), loopback_http=False)
        return
    with pytest.raises(expected):
        check_endpoint("token_endpoint", address, PSC, (), loopback_http=False)
