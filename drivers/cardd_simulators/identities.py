"""The simulated servers' own certificates, and those of a fictitious organisation that calls them.

All are issued by the simulated cards' authority. What tells an ORG_AUTH_CLI from an ORG_SIGN certificate is the key
usage; the rest of their profile is not followed.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cardd.values import Value
from cardd_simulators.cards.certificates import BACKDATED, Authority, key_usage
from cardd_simulators.cards.store import Credential, Store

LIFE = timedelta(days=3 * 365)
SIRET = "399999999900017"
PASSWORD = "SIMULATION"  # noqa: S105 - it protects nothing, and is told to everybody
SERVER, AUTHENTICATION, SIGNATURE = "dmp-server", "organisation-authentication", "organisation-signature"
INSI_SERVER, INSI_SOFTWARE, INSI_NAME = "insi-server", "insi-software", "INSI-AUTO"


class Identities(Value):
    """The DMP's: ``server`` is a PEM file with its key; the organisation's two are PKCS#12 files."""

    server: Path
    authentication: Path
    signature: Path


def identities(store: Store) -> Identities:
    """Return the three certificates, made at the first call."""
    store.credential(SERVER, _server)
    for name, certify in ((AUTHENTICATION, _authentication), (SIGNATURE, _signature)):
        _export(store.path(name, "p12"), store.credential(name, certify))
    return Identities(store.path(SERVER), store.path(AUTHENTICATION, "p12"), store.path(SIGNATURE, "p12"))


class InsiIdentities(Value):
    """INSi's: ``server`` is a PEM file with its key; the software certificate is a PKCS#12 file."""

    server: Path
    software: Path


def insi_identities(store: Store) -> InsiIdentities:
    """Return the two certificates, made at the first call."""
    store.credential(INSI_SERVER, lambda key, authority: _serving("INSI SIMULATION", key, authority))
    software = store.credential(INSI_SOFTWARE, lambda key, authority: _connecting(INSI_NAME, key, authority))
    _export(store.path(INSI_SOFTWARE, "p12"), software)
    return InsiIdentities(store.path(INSI_SERVER), store.path(INSI_SOFTWARE, "p12"))


def _export(path: Path, credential: Credential) -> None:
    path.touch(0o600)
    encryption = BestAvailableEncryption(PASSWORD.encode())
    path.write_bytes(
        pkcs12.serialize_key_and_certificates(b"SIMULATION", credential.key, credential.certificate, None, encryption)
    )


def _server(key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    return _serving("DMP SIMULATION", key, authority)


def _serving(name: str, key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    builder = _builder(subject, key, authority).add_extension(key_usage(digital_signature=True), critical=True)
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority.key, SHA256())
    )


def _authentication(key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    return _connecting("SIMULATION", key, authority)


def _connecting(name: str, key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    builder = _builder(_organisation(name), key, authority)
    return (
        builder.add_extension(key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority.key, SHA256())
    )


def _signature(key: rsa.RSAPublicKey, authority: Authority) -> x509.Certificate:
    builder = _builder(_organisation("SIMULATION"), key, authority)
    return builder.add_extension(key_usage(non_repudiation=True), critical=True).sign(authority.key, SHA256())


def _organisation(name: str) -> x509.Name:
    named = (
        (NameOID.COUNTRY_NAME, "FR"),
        (NameOID.STATE_OR_PROVINCE_NAME, "SIMULATION (00)"),
        (NameOID.ORGANIZATION_NAME, "CENTRE DE SANTE SIMULATION"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, SIRET),
        (NameOID.COMMON_NAME, name),
    )
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in named])


def _builder(subject: x509.Name, key: rsa.RSAPublicKey, authority: Authority) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.certificate.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
        .add_extension(authority.key_identifier, critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )
