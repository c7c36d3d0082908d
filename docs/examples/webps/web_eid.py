"""Web eID tokens of cardd (web-eid:1.0), verified on a portal's server: whose card it was, or Refused.

cryptography checks the signature, asn1crypto reads the certificate, and the openssl command checks by whom it was
issued, for what, and whether it was revoked.
"""

import base64
import hashlib
import re
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import pem, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

NONCE_LIFETIME = 300  # seconds
NATIONAL_ID = re.compile(r"[034589][0-9A-Za-z]{8,}(/\S+)?")
FIELDS = ("unverifiedCertificate", "algorithm", "signature", "format")
CERTIFICATE_MAX = 16_384  # bytes
BY_OPENSSL = ("openssl", "verify", "-partial_chain", "-purpose", "sslclient", "-auth_level", "2", "-crl_check")


class Refused(Exception):
    """The token proves nothing; the reason is for the portal's log, not for the page."""


@dataclass(frozen=True)
class Trust:
    """Files in PEM: the authorities that issue the certificates of persons, and their revocation lists of today."""

    authorities: Path
    lists: Path


@dataclass(frozen=True)
class Holder:
    """Whose card it is. ``national_id`` has the digit of its kind in front: 8 for RPPS."""

    national_id: str
    family_name: str
    given_name: str
    title: str


def new_nonce(session):
    """Return a nonce for the page, kept in its session on the server; the one before is worth nothing any more."""
    session["card_nonce"] = secrets.token_urlsafe(33)
    session["card_nonce_ends"] = time.time() + NONCE_LIFETIME
    return session["card_nonce"]


def spent_nonce(session):
    """Return the session's nonce, which is gone then, whatever becomes of the token. Raises Refused."""
    nonce, ends = session.pop("card_nonce", None), session.pop("card_nonce_ends", 0)
    if not nonce:
        raise Refused("the session has no nonce")
    if time.time() > ends:
        raise Refused("the nonce is too old")
    return nonce


def verify(token, *, origin, nonce, trust):
    """Return the Holder whose card signed this portal's own origin and this nonce. Raises Refused."""
    fields = [token.get(name) for name in FIELDS] if isinstance(token, dict) else [None]
    if not all(isinstance(field, str) for field in fields):
        raise Refused("the token lacks a field")
    der, algorithm, signature, version = _decoded(fields[0]), fields[1], _decoded(fields[2]), fields[3]
    if version != "web-eid:1.0" or algorithm != "RS256":
        raise Refused("another format or algorithm")
    certificate = _certificate(der)
    _check_certificate(der, trust)
    key = load_der_public_key(certificate.public_key.dump())
    if not isinstance(key, RSAPublicKey):
        raise Refused("the key is none for RS256")
    try:
        key.verify(signature, _digest(origin) + _digest(nonce), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Refused("signed for another site, with another nonce or by another key") from None
    return holder_of(certificate)


def _decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("no base64") from None


def _digest(text):
    return hashlib.sha256(text.encode()).digest()


def _certificate(der):
    if len(der) > CERTIFICATE_MAX:
        raise Refused("the certificate is too long")
    try:
        certificate = x509.Certificate.load(der, strict=True)
        purposes = certificate.extended_key_usage_value
        if purposes is None or "client_auth" not in purposes.native:
            raise Refused("the certificate is not for logging in")
    except (ValueError, TypeError):
        raise Refused("no certificate") from None
    return certificate


def _check_certificate(der, trust):
    files = ("-trusted", str(trust.authorities), "-CRLfile", str(trust.lists))
    given = pem.armor("CERTIFICATE", der)
    command = [*BY_OPENSSL, *files]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=10)  # noqa: S603 - ours
    if done.returncode:
        raise Refused(f"the certificate: {done.stderr.decode(errors='replace').strip()}")


def holder_of(certificate):
    """Return whose certificate it is (asn1crypto's). Raises Refused.

    One RDN may have several names, as IGC-Santé's has given name, number and surname together.
    """
    pairs = [(pair["type"].dotted, pair["value"].native) for rdn in certificate.subject.chosen for pair in rdn]
    names = dict(pairs)
    national_id = names.get("2.5.4.3", "")
    if [kind for kind, _ in pairs].count("2.5.4.3") != 1 or not NATIONAL_ID.fullmatch(national_id):
        raise Refused("the certificate is no professional's")
    return Holder(national_id, names.get("2.5.4.4", ""), names.get("2.5.4.42", ""), names.get("2.5.4.12", ""))
