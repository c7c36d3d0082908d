"""The organisation's certificate as a token: it shows its keys once its password was given, and needs no card."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509 import load_pem_x509_certificate

from tests.p11.programs import MODULES, Desk, desk, needs
from tests.rig.nginx import Nginx, authority, issued
from tests.rig.organisation import PASSWORD, Organisation, make

SETTINGS = """
[csa]
authentication = "{0.authentication}"
signature = "{0.signature}"
"""
KEY = "pkcs11:object=authentication.p12;type=private"
CERTIFICATE = "pkcs11:object=authentication.p12;type=cert"


@pytest.fixture(scope="module")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    return make(tmp_path_factory.mktemp("organisation"))


@pytest.fixture(scope="module")
def office(organisation: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk without a card."""
    needs("pkcs11-tool", "gnutls-cli")
    with desk(tmp_path_factory.mktemp("office"), None, SETTINGS.format(organisation), pin=PASSWORD) as made:
        yield made


def test_the_keys_are_shown_after_a_login_and_stay(office: Desk) -> None:
    before = office.pkcs11_tool("-L", "-O")
    with_login = office.pkcs11_tool("--login", "-O")

    assert "login required" in before
    assert "Private Key" not in before
    for said in (with_login, office.pkcs11_tool("-L", "-O")):
        assert said.count("Private Key Object; RSA") == 2
    assert "CENTRE DE SANTE SIMULATION" in office.pkcs11_tool("-L")


def test_the_organisations_key_signs_by_pss_with_sha_384(
    office: Desk, organisation: Organisation, tmp_path: Path
) -> None:
    (tmp_path / "digest").write_bytes(hashlib.sha384(b"some data").digest())
    office.pkcs11_tool(
        *("--login", "--sign", "-m", "RSA-PKCS-PSS", "--hash-algorithm", "SHA384", "--mgf", "MGF1-SHA384"),
        *("--salt-len", "48", "--label", "authentication.p12"),
        *("-i", tmp_path / "digest", "-o", tmp_path / "signature"),
    )

    certificate = load_pem_x509_certificate(organisation.certificate("authentication").read_bytes())
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    public.verify((tmp_path / "signature").read_bytes(), b"some data", PSS(MGF1(SHA384()), 48), SHA384())


def test_a_server_takes_the_organisations_certificate(office: Desk, organisation: Organisation, tmp_path: Path) -> None:
    own = authority(tmp_path)
    pair = issued(tmp_path, own, "server", names="DNS:localhost")
    trusted = organisation.certificate("authentication")
    with Nginx(tmp_path / "nginx", trusted, pair).running() as nginx:
        said = office.says(
            *("gnutls-cli", "--provider", MODULES[0], "--x509certfile", CERTIFICATE, "--x509keyfile", KEY),
            *("--x509cafile", own.certificate, "-p", nginx.port, "localhost"),
            given="GET /who HTTP/1.0\r\n\r\n",
        )

    assert "O=CENTRE DE SANTE SIMULATION" in said
    assert "|TLSv1.3|" in said


def test_openssl_takes_a_signature_of_the_organisations_elliptic_key(tmp_path: Path) -> None:
    needs("pkcs11-tool")
    organisation = make(tmp_path, ec=True)
    data, digest, signature, key = (tmp_path / name for name in ("data", "digest", "signature", "key.pem"))
    data.write_bytes(b"some data")
    digest.write_bytes(hashlib.sha256(b"some data").digest())
    certificate = organisation.certificate("authentication")
    with desk(tmp_path, None, SETTINGS.format(organisation), pin=PASSWORD) as office:
        office.pkcs11_tool(
            *("--login", "--sign", "-m", "ECDSA", "--signature-format", "openssl", "--label", "authentication.p12"),
            *("-i", digest, "-o", signature),
        )
        key.write_text(office.says("openssl", "x509", "-in", certificate, "-pubkey", "-noout"))
        judged = office.says("openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, data)

    assert "Verified OK" in judged
