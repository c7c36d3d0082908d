"""openssl judges the certificates and their authorities."""

from __future__ import annotations

from pathlib import Path

import pytest

from cardd_simulators.cards.profiles import PROFILES
from cardd_simulators.cards.store import Credential, Issued
from tests.rig.simulator import issue, store
from tests.simulator import openssl

ISSUER = (
    "Issuer: C=FR, O=SIMULATION, OU=0002 000000000, OU=IGC-SANTE SIMULATION, CN=AC SIMULATION IGC-SANTE FORT PERSONNES"
)
NAME_OPTIONS = ("-nameopt", "sep_comma_plus_space,utf8,sname")


@pytest.fixture(params=sorted(PROFILES))
def card(request: pytest.FixtureRequest) -> Issued:
    profile: str = request.param
    return issue(profile)


def _text(credential: Credential, directory: Path) -> str:
    return openssl.run("x509", "-in", openssl.certificate(credential, directory), "-noout", "-text", *NAME_OPTIONS)


def _extensions(credential: Credential, directory: Path) -> str:
    return openssl.run("asn1parse", "-in", openssl.certificate(credential, directory))


def test_both_certificates_verify_with_the_chain(card: Issued, tmp_path: Path) -> None:
    for credential, purpose in ((card.signature, "smimesign"), (card.authentication, "sslclient")):
        path = openssl.certificate(credential, tmp_path)
        told = openssl.run("verify", "-x509_strict", "-purpose", purpose, "-CAfile", store().chain, path)
        assert told.endswith(": OK\n")


def test_the_signature_certificate_follows_the_profile(tmp_path: Path) -> None:
    told = _text(issue().signature, tmp_path)
    for line in (
        ISSUER,
        "Subject: C=FR, title=Médecin, GN=CAMILLE + CN=899000000010 + SN=SIMULATION-MEDECIN",
        "Signature Algorithm: sha256WithRSAEncryption",
        "Public-Key: (2048 bit)",
        "X509v3 Key Usage: critical\n                Non Repudiation\n",
        "X509v3 Extended Key Usage: \n                E-mail Protection\n",
        "Policy: 1.2.250.1.213.1.7.2.1.1.1.1",
        "OCSP - URI:http://ocsp.simulation.invalid/",
        "URI:http://crl.simulation.invalid/personnes.crl",
    ):
        assert line in told


def test_the_authentication_certificate_follows_the_profile(tmp_path: Path) -> None:
    told = _text(issue().authentication, tmp_path)
    for line in (
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Client Authentication, Microsoft Smartcard Login",
        "899000000010@carte-cps.invalid",
    ):
        assert line in told


def test_the_cards_own_extensions_tell_a_test_card_of_a_doctor(tmp_path: Path) -> None:
    card = issue()
    number = f"8025000001/{card.card_number}".encode()
    told = _extensions(card.signature, tmp_path)
    for oid, der in (
        ("1.2.250.1.71.1.2.2", "020100"),
        ("1.2.250.1.71.1.2.3", f"1315{number.hex()}"),
        ("1.2.250.1.71.1.2.5", "040180"),
        ("1.2.250.1.71.1.2.7", "02010A"),
        ("1.2.250.1.71.4.2.5", "30060C04534D3336"),
    ):
        _, _, after = told.partition(f":{oid}\n")
        assert after.splitlines()[0].endswith(f"[HEX DUMP]:{der.upper()}")


def test_a_secretary_has_a_staff_card_without_a_profession(tmp_path: Path) -> None:
    card = issue("secretaire")
    extensions = _extensions(card.signature, tmp_path)
    assert "1.2.250.1.71.1.2.7" not in extensions
    assert "1.2.250.1.71.4.2.5" not in extensions
    assert extensions.partition(":1.2.250.1.71.1.2.2\n")[2].splitlines()[0].endswith("[HEX DUMP]:020102")
    told = _text(card.signature, tmp_path)
    assert "Subject: C=FR, GN=SACHA + SN=SIMULATION-SECRETAIRE + CN=500000000000001/SIMU0001\n" in told


def test_every_person_and_authority_is_visibly_fictitious(card: Issued) -> None:
    for credential in (card.signature, card.authentication):
        assert "SIMULATION" in credential.certificate.subject.rfc4514_string()
        assert "SIMULATION" in credential.certificate.issuer.rfc4514_string()
