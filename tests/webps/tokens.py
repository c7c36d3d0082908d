"""Tokens for portals: what cardd gives a page, what somebody makes without cardd, and whom a portal trusts."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from cardd_simulators.cards.certificates import Authority
from cardd_simulators.cards.store import Credential
from tests.api.workbench import PAGE, Workbench
from tests.rig.revoking import revocation_list
from tests.rig.simulator import issue, store

Token = dict[str, object]
RS256 = {"cryptoAlgorithm": "RSA", "hashFunction": "SHA-256", "paddingScheme": "PKCS1.5"}  # as 1.1 writes it


@dataclass(frozen=True)
class ListMaker:
    """Who signs lists in an authority's name."""

    name: x509.Name
    key: rsa.RSAPrivateKey


@cache
def persons() -> Authority:
    """The authority of the simulated cards."""
    issue()
    pem = (store().directory / "persons.pem").read_bytes()
    key = load_pem_private_key(pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return Authority(x509.load_pem_x509_certificate(pem), key)


@cache
def list_of(
    revoked: tuple[x509.Certificate, ...],
    age: timedelta,
    key: rsa.RSAPrivateKey | None = None,
    life: timedelta = timedelta(hours=2),
    *,
    is_delta: bool = False,
) -> bytes:
    """The list of the cards' authority, in PEM, or one of changes; ``key`` is another's, who signed it."""
    by = ListMaker(persons().certificate.subject, key or persons().key)
    since = {found.public_bytes(Encoding.DER): datetime.now(UTC) - timedelta(days=1) for found in revoked}
    more = [x509.DeltaCRLIndicator(1)] if is_delta else []
    der = revocation_list(by, since, age=age, life=life, more=more)
    return x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)


def trust_cards(folder: Path, life: timedelta = timedelta(hours=2)) -> None:
    """Trust the authority of the simulated cards, with its list of an hour ago."""
    (folder / "authorities.pem").write_bytes(persons().certificate.public_bytes(Encoding.PEM))
    (folder / "lists.pem").write_bytes(list_of((), timedelta(hours=1), life=life))


@dataclass
class Workstation(Workbench):
    """A cardd whose card is logged in on pages of two sites."""

    opened: dict[str, tuple[str, str]] = field(default_factory=dict)

    async def log_in(self, origin: str) -> None:
        """Open a session of this site's page."""
        got = await self.call("POST", "/v1/sessions", {"method": "cpx"}, headers=await self.page(origin))
        assert got.status == 201, got.raw
        self.opened[origin] = got.headers["Location"], got.text("token")


async def token_of(cardd: Workstation, nonce: str, origin: str = PAGE) -> Token:
    """What cardd gives a page of this origin."""
    body = {"nonce": nonce}
    path, bearer = cardd.opened[origin]
    got = await cardd.call("POST", f"{path}/auth-tokens", body, bearer=bearer, headers={"Origin": origin})
    assert got.status == 200, got.raw
    return got.json


def forged(nonce: str, by: Credential, origin: str = PAGE) -> Token:
    """What somebody makes who has this key, without cardd."""
    signed = hashlib.sha256(origin.encode()).digest() + hashlib.sha256(nonce.encode()).digest()
    return {
        "unverifiedCertificate": in_base64(by.certificate),
        "algorithm": "RS256",
        "signature": base64.b64encode(by.key.sign(signed, PKCS1v15(), SHA256())).decode(),
        "format": "web-eid:1.0",
    }


def in_base64(certificate: x509.Certificate) -> str:
    """The certificate as tokens have it."""
    return base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()


def entry(certificate: x509.Certificate | None = None, **other: object) -> Token:
    """What a token of 1.1 says of this certificate for documents, or of the card's own."""
    of_card = certificate or issue().signature.certificate
    return {"certificate": in_base64(of_card), "supportedSignatureAlgorithms": [RS256], **other}


def documents(*entries: object) -> Token:
    """What 1.1 adds to a token."""
    return {"unverifiedSigningCertificates": list(entries)}
