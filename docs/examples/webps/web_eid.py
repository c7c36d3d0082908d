"""Web eID tokens (cardd's are web-eid:1.0), verified on a portal's server: whose card it was, or Refused.

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
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

NONCE_LIFETIME = 300  # seconds
UNREADABLE = (ValueError, TypeError, IndexError, AttributeError)  # what asn1crypto raises for what it cannot read
NATIONAL_ID = re.compile(r"[034589][0-9A-Za-z]{8,}(/\S+)?")
FIELDS = ("unverifiedCertificate", "algorithm", "signature", "format")
FIELDS_OF_1_1 = ("unverifiedSigningCertificates", "unverifiedIntermediateCertificates")
ALGORITHMS = {
    "cryptoAlgorithm": ("ECC", "RSA"),
    "hashFunction": tuple(f"{kind}-{bits}" for kind in ("SHA", "SHA3") for bits in (224, 256, 384, 512)),
    "paddingScheme": ("NONE", "PKCS1.5", "PSS"),
}
CERTIFICATE_MAX = 16_384  # bytes
LIST_MAX = 4  # certificates in a token's list
BY_OPENSSL = ("openssl", "verify", "-partial_chain", "-auth_level", "2")
# without -extended_crl openssl takes a list of changes (delta) for a whole one
FOR_LOGIN = ("-purpose", "sslclient", "-crl_check", "-extended_crl")


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


def verify(token, *, origin, nonce, trust, accept_1_1=False):
    """Return the Holder whose card signed this portal's own origin and this nonce. Raises Refused.

    ``accept_1_1`` lets in web-eid:1.1 too, whose certificates for documents must be the same person's.
    """
    fields = [token.get(name) for name in FIELDS] if isinstance(token, dict) else [None]
    if not all(isinstance(field, str) for field in fields):
        raise Refused("the token lacks a field")
    der, algorithm, signature, version = _decoded(fields[0]), fields[1], _decoded(fields[2]), fields[3]
    if version not in ("web-eid:1.0", *(["web-eid:1.1"] if accept_1_1 else [])) or algorithm != "RS256":
        raise Refused("another format or algorithm")
    documents = _documents(token, version)
    certificate = _certificate(der)
    _check_certificate(der, trust, *FOR_LOGIN, "-CRLfile", str(trust.lists))
    key = _key(certificate)
    try:
        key.verify(signature, _digest(origin) + _digest(nonce), PKCS1v15(), SHA256())
    except InvalidSignature:
        raise Refused("signed for another site, with another nonce or by another key") from None
    for entry in documents:
        _check_document_certificate(entry, certificate, trust)
    return holder_of(certificate)


def _key(certificate):
    try:
        key = load_der_public_key(certificate.public_key.dump())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey):
        raise Refused("the key is none for RS256")
    return key


def _documents(token, version):
    """What the token says of the certificates for documents, which only 1.1 has."""
    entries, intermediates = [token.get(name) for name in FIELDS_OF_1_1]
    if version == "web-eid:1.0":
        if entries is not None or intermediates is not None:
            raise Refused("a token of 1.0 with fields of 1.1")
        return []
    if intermediates is None or entries is not None:
        _check_list(entries, dict)
    for given in (intermediates, *(entry.get("intermediateCertificates") for entry in entries or ())):
        if given is not None:  # not used: the portal's authorities issue the certificates themselves
            _check_list(given, str)
    return entries or []


def _check_list(found, kind):
    is_list = isinstance(found, list) and 0 < len(found) <= LIST_MAX
    if not is_list or not all(isinstance(one, kind) and one for one in found):
        raise Refused("no list of certificates")


def _check_document_certificate(entry, login, trust):
    algorithms = entry.get("supportedSignatureAlgorithms")
    if not isinstance(algorithms, list) or not algorithms or not all(map(_is_known, algorithms)):
        raise Refused("no algorithm of documents, or an unknown one")
    if not isinstance(entry.get("certificate"), str):
        raise Refused("the token lacks a field")
    der = _decoded(entry["certificate"])
    try:
        certificate = _read(der)
        usage = certificate.key_usage_value
        if usage is None or "non_repudiation" not in usage.native:
            raise Refused("the certificate is not for documents")
        if certificate.subject != login.subject or certificate.issuer != login.issuer:
            raise Refused("the certificate for documents is another person's, or of another authority")
    except UNREADABLE:
        raise Refused("no certificate") from None
    _check_certificate(der, trust)  # whether it was revoked counts when it signs


def _is_known(algorithm):
    return isinstance(algorithm, dict) and all(algorithm.get(part) in known for part, known in ALGORITHMS.items())


def _decoded(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise Refused("no base64") from None


def _digest(text):
    return hashlib.sha256(text.encode()).digest()


def _read(der):
    if len(der) > CERTIFICATE_MAX:
        raise Refused("the certificate is too long")
    return x509.Certificate.load(der, strict=True)


def _certificate(der):
    try:
        certificate = _read(der)
        purposes = certificate.extended_key_usage_value
        if purposes is None or "client_auth" not in purposes.native:
            raise Refused("the certificate is not for logging in")
    except UNREADABLE:
        raise Refused("no certificate") from None
    return certificate


def _check_certificate(der, trust, *more):
    given = pem.armor("CERTIFICATE", der)
    command = [*BY_OPENSSL, "-trusted", str(trust.authorities), *more]
    done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=10)  # noqa: S603 - ours
    if done.returncode:
        raise Refused(f"the certificate: {done.stderr.decode(errors='replace').strip()}")


def holder_of(certificate):
    """Return whose certificate it is (asn1crypto's). Raises Refused.

    One RDN may have several names, as IGC-Santé's has given name, number and surname together.
    """
    try:
        pairs = [(pair["type"].dotted, pair["value"].native) for rdn in certificate.subject.chosen for pair in rdn]
    except UNREADABLE:
        raise Refused("no certificate") from None
    names = {kind: value for kind, value in pairs if isinstance(value, str)}
    national_id = names.get("2.5.4.3", "")
    if [kind for kind, _ in pairs].count("2.5.4.3") != 1 or not NATIONAL_ID.fullmatch(national_id):
        raise Refused("the certificate is no professional's")
    return Holder(national_id, names.get("2.5.4.4", ""), names.get("2.5.4.42", ""), names.get("2.5.4.12", ""))
