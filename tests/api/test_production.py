"""Test cards, test certificates and fictitious people reach test environments, and no production (EX_GEN-1430)."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cardd.config import Config, Psc, Upstream
from cardd.formats.certificate import facts_of
from cardd.identity.holders import is_of_tests
from cardd.model import KeyPurpose
from cardd_drivers.pkcs12.source import FilesSource
from tests.api.ecps import LOGIN, ends_in, pair, pending, workbench_at
from tests.api.workbench import Workbench
from tests.rig.memory import RunningClock
from tests.rig.oidc.people import CLAIRE
from tests.rig.oidc.pki import ORGANISATION
from tests.rig.oidc.provider import PscRig
from tests.rig.organisation import PASSWORD, make

REAL = {"dmp": Upstream(name="dmp", url="https://dmp.example")}
ACTING = {"national_id": CLAIRE, "family_name": "SIMULATION", "given_name": "CLAIRE"}
PRODUCTION = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"


@pytest_asyncio.fixture
async def real(tmp_path: Path) -> AsyncIterator[Workbench]:
    """A simulated card before a server that is not known to be one of tests."""
    api = Workbench(tmp_path, Config(upstreams=REAL), clock=RunningClock())
    await api.start()
    yield api
    await api.stop()


async def reached(api: Workbench, path: str, token: str) -> tuple[int, object, str]:
    """What a request to the server is answered, and what French users read."""
    headers = {"Accept-Language": "fr"}
    got = await api.call("GET", f"{path}/upstreams/dmp/", bearer=token, headers=headers)
    return got.status, got.code, got.text("detail")


async def test_a_simulated_card_does_not_reach_production_and_nobody_is_asked(real: Workbench) -> None:
    status, code, words = await reached(real, *await real.logged_in())

    assert (status, code) == (403, "upstream.production")
    assert words.startswith("Une carte de test ou simulée ne peut pas servir avec « dmp » (dmp.example)")
    assert "relay" not in real.person.topics()
    assert [entry for entry in real.audit.entries if entry.action == "tls.handshake"] == []


async def test_a_test_certificate_of_an_organisation_does_not_either(real: Workbench, tmp_path: Path) -> None:
    files = make(tmp_path)
    source = FilesSource({KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature})
    await source.start(real.readers)
    real.secrets.values["csa"] = PASSWORD.encode()
    opened = await real.call("POST", "/v1/sessions", {"method": "csa", "acting": ACTING}, bearer=await real.pair())

    told = await reached(real, f"/v1/sessions/{opened.text('id')}", opened.text("token"))
    await source.stop()

    assert told[:2] == (403, "upstream.production")
    assert told[2].startswith("Un certificat de test ne peut pas servir")


async def test_who_logged_in_at_a_test_provider_does_not_either(psc: PscRig, tmp_path: Path) -> None:
    files = make(tmp_path)
    api = workbench_at(psc, tmp_path, upstreams=REAL)
    await api.start()
    source = FilesSource({KeyPurpose.AUTHENTICATION: files.authentication, KeyPurpose.SIGNATURE: files.signature})
    await source.start(api.readers)
    try:
        path, token = await pending(api, {**LOGIN, "login_hint": CLAIRE}, await pair(api))
        await psc.approve(CLAIRE)
        assert await ends_in(api, path, token) == (200, "active")
        told = await reached(api, path, token)
    finally:
        await source.stop()
        await api.stop()

    assert told[:2] == (403, "upstream.production")
    assert told[2].startswith("Une personne d'un environnement de test ne peut pas servir")


async def test_a_test_certificate_proves_no_service_to_the_production_of_psc(psc: PscRig, tmp_path: Path) -> None:
    (tmp_path / "organisation.p12").write_bytes(psc.authority.issue(ORGANISATION).pkcs12(PASSWORD.encode()))
    service = Psc(
        issuer=PRODUCTION,
        client_id="lps",
        direct_agreed=True,
        authentication="tls",
        certificate=tmp_path / "organisation.p12",
    )
    api = Workbench(tmp_path, Config(psc=service), clock=RunningClock())
    api.secrets.values["psc-certificate"] = PASSWORD.encode()
    await api.start()
    try:
        got = await api.call("POST", "/v1/sessions", LOGIN, bearer=await pair(api))
        methods = await api.call("GET", "/v1/methods", bearer=await pair(api))
    finally:
        await api.stop()

    assert (got.status, got.code) == (503, "psc.test_certificate")
    assert '"psc.test_certificate"' in methods.raw.decode()


@pytest.mark.parametrize(
    ("url", "sandbox", "is_test"),
    [
        ("https://dmp.example", False, False),
        ("https://dmp.example", True, True),
        ("https://localhost:17490", False, True),
        ("https://[::1]:17490", False, True),
        ("https://qualiflps.services-ps.ameli.fr:443", False, True),
        ("https://qualiflps-services-ps-tlsm.ameli.fr:443", False, True),
        ("https://services-ps.ameli.fr", False, False),
        ("https://qualiflps.services-ps.ameli.fr.example", False, False),
        ("https://localhost.example", False, False),
    ],
)
def test_a_test_environment_is_known_or_configured(url: str, sandbox: bool, is_test: bool) -> None:
    assert Upstream(name="dmp", url=url, sandbox=sandbox).is_test_environment is is_test
    assert not Psc(issuer=PRODUCTION, client_id="lps").is_test_environment


@pytest.mark.parametrize(
    ("issuer", "is_test"),
    [
        ("TEST AC IGC-SANTE ELEMENTAIRE ORGANISATIONS", True),
        ("AC SIMULATION IGC-SANTE FORT PERSONNES", True),
        ("AC IGC-SANTE FORT PERSONNES", False),
        ("AC CONTESTABLE", False),
    ],
)
def test_an_authority_of_tests_is_known_by_its_name(tmp_path: Path, issuer: str, is_test: bool) -> None:
    own = make(tmp_path, ec=True, subject=f"/CN={issuer}").certificate("authentication")
    assert is_of_tests(facts_of(ssl.PEM_cert_to_DER_cert(own.read_text()))) is is_test
