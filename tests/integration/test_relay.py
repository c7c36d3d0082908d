"""Every kind of key behind the relay: CPS3, CPS4, PKCS#11 token, the organisation's files; nginx judges."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from cardd.system.audit_file import AuditReader
from tests.integration.workstation import Session, Workstation, expect
from tests.rig import organisation, softhsm
from tests.rig.lps import Json
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.ports import free_port
from tests.rig.simulator import issue, simulated_card, simulated_cps4, store
from tests.rig.softhsm import SoftHsm

SETTINGS = """
[drivers.pkcs11]
modules = ["{module}"]
files = ["{tokens}"]
[csa]
authentication = "{files}/authentication.p12"
signature = "{files}/signature.p12"
[upstreams.dmp]
url = "https://localhost:{port}"
authorities = "{authorities}"
[upstreams.down]
url = "https://localhost:{nobody}"
"""
ACTING: Json = {"national_id": "899000000999", "family_name": "SIMULATION-AGENT", "given_name": "LOU"}


@dataclass(frozen=True)
class Site:
    """A workstation with every key, and nginx that trusts all of them."""

    station: Workstation
    nginx: Nginx


@pytest.fixture(scope="module", params=["TLSv1.2", "TLSv1.2 TLSv1.3"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("relay")
    files, hsm = directory / "files", SoftHsm(directory)
    files.mkdir()
    certificates = [organisation.make(files).certificate("authentication")]
    certificates.append(hsm.token("SIMULATION", ec=True, subject=organisation.PERSON).certificate("authentication"))
    issue()
    issue("pharmacien", 4, "cps4")
    root = authority(directory)
    trusted = directory / "trusted.pem"
    trusted.write_text("".join(path.read_text() for path in (store().chain, *certificates)))
    nginx = Nginx(
        directory / "nginx", trusted, issued(directory, root, "serveur", names="DNS:localhost"), request.param
    )
    extra = SETTINGS.format(
        module=hsm.module,
        tokens=hsm.directory,
        files=files,
        port=nginx.port,
        authorities=root.certificate,
        nobody=free_port(),
    )
    station = Workstation(directory, extra=extra, environment=hsm.environment)
    with nginx.running(), station.running():
        station.wait_for_cards(2)
        with station.card(simulated_card()), station.card(simulated_cps4("pharmacien"), slot=1):
            yield Site(station, nginx)


@contextmanager
def connection(station: Workstation) -> Iterator[http.client.HTTPConnection]:
    made = http.client.HTTPConnection("127.0.0.1", station.daemon.port, timeout=60)
    yield made
    made.close()


def ask(site: Site, session: Session, count: int = 20) -> str:
    """Who nginx takes us for, each time."""
    headers = {"Authorization": f"Bearer {session.lps.credential}"}
    with connection(site.station) as http_:
        found = set()
        for _ in range(count):
            http_.request("GET", f"{session.path}/upstreams/dmp/who", headers=headers)
            answer = http_.getresponse()
            found.add(answer.read().decode())
            assert answer.status == 200, found
    [who] = found
    return who


@pytest.mark.parametrize(
    ("kind", "pin", "can_1_3"), [("cps3", "1234", False), ("cps4", "1234", True), ("pkcs11", softhsm.PIN, True)]
)
def test_each_key_serves_many_requests_with_one_signature(site: Site, kind: str, pin: str, *, can_1_3: bool) -> None:
    station = site.station
    card = next(str(card["id"]) for card in station.cards() if card["kind"] == kind)
    lps = station.pair()
    station.pinentry.answer(f"pin:{pin}")
    session = station.log_in(lps, card)
    who = ask(site, session)
    assert "SIMULATION" in who
    best = "TLSv1.3" if can_1_3 and "TLSv1.3" in site.nginx.protocols else "TLSv1.2"
    assert who.split("|")[1] == best
    signed = [row for row in handshakes(station) if row == session.id]
    assert len(signed) == 1


def test_the_organisations_files_serve_too(site: Site) -> None:
    station = site.station
    lps = station.pair()
    station.pinentry.answer(f"pin:{organisation.PASSWORD}")
    opened = expect(201, lps.call("POST", "/v1/sessions", {"method": "csa", "acting": ACTING}))
    who = ask(site, station.session(opened))
    assert "CENTRE DE SANTE SIMULATION" in who
    assert who.split("|")[1] == site.nginx.protocols.split()[-1]


def test_no_body_is_kept_on_disk(site: Site) -> None:
    station, mark = site.station, b"CORPS-SIMULATION-"
    card = next(str(card["id"]) for card in station.cards() if card["kind"] == "cps3")
    lps = station.pair()
    station.pinentry.answer("pin:1234")
    session = station.log_in(lps, card)
    headers = {"Authorization": f"Bearer {session.lps.credential}", "Content-Type": "text/plain"}
    with connection(station) as http_:
        for name, status in (("dmp", 200), ("down", 503)):
            http_.request("POST", f"{session.path}/upstreams/{name}/who", mark * 20_000, headers)
            answer = http_.getresponse()
            answer.read()
            assert answer.status == status
    kept = [station.daemon.log, *(file for file in station.daemon.state.rglob("*") if file.is_file())]
    assert not any(mark in file.read_bytes() for file in kept)


def handshakes(station: Workstation) -> list[str | None]:
    """The sessions of the recorded handshakes."""
    rows = AuditReader(station.daemon.state / "audit").tail(1000)
    return [row.entry.session for row in rows if row.entry.action == "tls.handshake"]
