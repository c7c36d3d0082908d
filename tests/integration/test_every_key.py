"""A CPS3, a CPS4, a SoftHSM2 token and the organisation's files on one workstation: listed, used, and judged."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from tests.cli.station import User
from tests.integration.workstation import Session, Workstation, expect, problem, text, wait_until
from tests.pkcs11.test_card import made_p384
from tests.rig import organisation, softhsm
from tests.rig.lps import Json
from tests.rig.openssl import verifies
from tests.rig.simulator import simulated_card, simulated_cps4
from tests.rig.softhsm import SoftHsm
from tests.simulator.opensc import CONFIGURATION, is_forgetful

DOCUMENT = b"SIMULATION"
SETTINGS = """
[card]
hold = {hold}
[drivers.pkcs11]
modules = ["{module}"]
files = ["{tokens}"]
[csa]
authentication = "{files}/authentication.p12"
signature = "{files}/signature.p12"
"""
ACTING: Json = {"national_id": "899000000999", "family_name": "SIMULATION-AGENT", "given_name": "LOU"}


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    hsm = SoftHsm(tmp_path_factory.mktemp("hsm"))
    hsm.token("SIMULATION", ec=True)
    return hsm


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """A professional's token."""
    hsm = SoftHsm(tmp_path_factory.mktemp("person"))
    hsm.token("SIMULATION", ec=True, subject=organisation.PERSON)
    return hsm


@contextmanager
def everything(directory: Path, hsm: SoftHsm, hold: float = 0.5) -> Iterator[Workstation]:
    files = directory / "organisation"
    files.mkdir()
    organisation.make(files)
    extra = SETTINGS.format(module=hsm.module, tokens=hsm.directory, files=files, hold=hold)
    station = Workstation(directory, extra=extra, environment=hsm.environment)
    with station.running():
        station.wait_for_cards(2)
        with station.card(simulated_card()), station.card(simulated_cps4("pharmacien"), slot=1):
            yield station


def sign(session: Session, algorithm: str) -> Json:
    document = base64.b64encode(DOCUMENT).decode()
    body: Json = {"document_name": "cr.txt", "document": document, "algorithm": algorithm}
    return expect(200, session.lps.call("POST", f"{session.path}/signatures", body))


def accepted(signed: Json, algorithm: str, directory: Path) -> bool:
    value, certificate = (base64.b64decode(text(signed, name)) for name in ("signature", "certificate"))
    if algorithm == "ES256":
        value = encode_dss_signature(int.from_bytes(value[:32], "big"), int.from_bytes(value[32:], "big"))
    return verifies(directory, certificate, value, DOCUMENT, pss=algorithm == "PS256")


def test_all_are_listed_and_each_signs(tmp_path: Path, person: SoftHsm) -> None:
    with everything(tmp_path, person) as station:
        listed = User(tmp_path, station.daemon).run("cards", "--json").rows("cards")
        cards = {str(card["kind"]): str(card["id"]) for card in listed}
        assert set(cards) == {"cps3", "cps4", "pkcs11", "pkcs12"}
        lps = station.pair()
        for kind, algorithm, pin in (
            ("cps3", "RS256", "1234"),
            ("cps4", "PS256", "1234"),
            ("pkcs11", "ES256", softhsm.PIN),
        ):
            station.pinentry.answer(f"pin:{pin}")
            assert accepted(sign(station.log_in(lps, cards[kind]), algorithm), algorithm, tmp_path), kind
        station.pinentry.answer(f"pin:{organisation.PASSWORD}")
        opened = expect(201, lps.call("POST", "/v1/sessions", {"method": "csa", "acting": ACTING}))
        assert accepted(sign(station.session(opened), "RS256"), "RS256", tmp_path)
        kept = [station.daemon.log, *(file for file in station.daemon.state.rglob("*") if file.is_file())]
        assert not any(organisation.PASSWORD.encode() in file.read_bytes() for file in kept)


@pytest.mark.parametrize(("hold", "costs"), [(5, 1), (0, 0)], ids=["in a login that stands", "between two logins"])
def test_a_module_killed_under_a_session_costs_at_most_one_request(
    tmp_path: Path, person: SoftHsm, hold: float, costs: int
) -> None:
    """A login ends with its process: a request in that login fails, any other has its own from the new process."""
    with everything(tmp_path, person, hold) as station:
        killed = module_process(station)
        token = next(str(card["id"]) for card in station.cards() if card["kind"] == "pkcs11")
        lps = station.pair()
        station.pinentry.answer(f"pin:{softhsm.PIN}")
        session = station.log_in(lps, token)
        sign(session, "ES256")
        os.kill(killed, signal.SIGKILL)
        for _ in range(costs):
            status, failed = session.ask_to_sign(algorithm="ES256")
            assert (status, failed["code"], failed["retryable"]) == (503, "module.failed", True)
        assert accepted(sign(session, "ES256"), "ES256", tmp_path)
        assert module_process(station) != killed


def module_process(station: Workstation) -> int:
    told = subprocess.run(
        ["pgrep", "-P", str(station.daemon.pid), "-f", "cardd_drivers.pkcs11.host"], capture_output=True, check=True
    )
    [pid] = told.stdout.split()
    return int(pid)


@pytest.mark.skipif(is_forgetful(), reason="OpenSC 0.26 logs in to no IAS-ECC card")
def test_open_sc_never_takes_a_card_that_is_served_natively(tmp_path: Path) -> None:
    (tmp_path / "opensc.conf").write_text(CONFIGURATION)
    extra = '\n[drivers.pkcs11]\nmodules = ["opensc-pkcs11"]\n'
    station = Workstation(tmp_path, extra=extra, environment={"OPENSC_CONF": str(tmp_path / "opensc.conf")})
    with station.running(), station.card(simulated_card()) as seat:
        assert [card["kind"] for card in station.cards()] == ["cps3"]
        session = station.log_in()
        session.sign()
        seat.stop()
        wait_until(lambda: not station.cards())


def test_an_hsm_serves_as_the_organisations_key_and_as_nobodys_card(tmp_path: Path, hsm: SoftHsm) -> None:
    extra = (
        f'\n[drivers.pkcs11]\nmodules = ["{hsm.module}"]\nfiles = ["{hsm.directory}"]\n[csa]\ntoken = "SIMULATION"\n'
    )
    station = Workstation(tmp_path, extra=extra, environment=hsm.environment)
    with station.running():
        [token] = station.wait_for_cards(1)
        lps = station.pair()
        problem(422, "session.method_unavailable", lps.call("POST", "/v1/sessions", {"method": "cpx"}))
        named: Json = {"method": "cpx", "card": token["id"]}
        problem(422, "session.method_unavailable", lps.call("POST", "/v1/sessions", named))
        station.pinentry.answer(f"pin:{softhsm.PIN}")
        opened = expect(201, lps.call("POST", "/v1/sessions", {"method": "csa", "acting": ACTING}))
        assert opened["identity"]["organisation"]["identifier"] == organisation.SIRET  # type: ignore[index]
        assert accepted(sign(station.session(opened), "ES256"), "ES256", tmp_path)


def test_a_token_without_a_key_for_a_session_says_so_before_the_pin(tmp_path: Path, hsm: SoftHsm) -> None:
    (tmp_path / "hsm").mkdir()
    keys = SoftHsm(tmp_path / "hsm")
    keys.holding("P-384", *made_p384(tmp_path))
    keys.token("CONTACTLESS", ec=True, objects="Certificat Technique CPS")
    extra = f'\n[drivers.pkcs11]\nmodules = ["{keys.module}"]\nfiles = ["{keys.directory}"]\n'
    station = Workstation(tmp_path, extra=extra, environment=keys.environment)
    with station.running():
        cards = {str(card["reader"]): card["id"] for card in station.wait_for_cards(2)}
        lps = station.pair()
        for label, code in (("P-384", "card.keys_unusable"), ("CONTACTLESS", "card.contactless")):
            [card] = [identifier for reader, identifier in cards.items() if label in reader]
            problem(422, code, lps.call("POST", "/v1/sessions", {"method": "cpx", "card": card}))
        assert [shown.kind for shown in station.pinentry.shown()].count("pin") == 0
