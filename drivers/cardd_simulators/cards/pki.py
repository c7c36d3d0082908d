"""The fictitious certification authorities of the simulated cards, shaped like those of IGC-Santé.

A root and its authority for persons, RSA-4096 and SHA-256, valid for twenty years; their names carry SIMULATION and
their addresses end in .invalid. Source of the shape: the card facts, section "Certificates".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

AUTHORITY_KEY_SIZE = 4096
AUTHORITY_LIFE = timedelta(days=20 * 365)
BACKDATED = timedelta(days=1)  # a machine whose clock is a little late shall not refuse a fresh card


@dataclass(frozen=True, slots=True)
class Authority:
    """A certification authority: its certificate and the key with which it signs."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """The extension that certificates of this authority carry."""
        own = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own.value)


def make_root() -> Authority:
    """A self-signed root."""
    key = rsa.generate_private_key(65537, AUTHORITY_KEY_SIZE)
    name = _authority_name("AC RACINE SIMULATION IGC-SANTE FORT")
    builder = _authority_builder(name, key, path_length=1).issuer_name(name)
    return Authority(builder.sign(key, SHA256()), key)


def make_persons_authority(root: Authority) -> Authority:
    """The authority that issues the cards' certificates."""
    key = rsa.generate_private_key(65537, AUTHORITY_KEY_SIZE)
    builder = _authority_builder(_authority_name("AC SIMULATION IGC-SANTE FORT PERSONNES"), key, path_length=0)
    builder = builder.issuer_name(root.certificate.subject).add_extension(root.key_identifier, critical=False)
    return Authority(builder.sign(root.key, SHA256()), key)


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "FR"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SIMULATION"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "0002 000000000"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "IGC-SANTE SIMULATION"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _authority_builder(name: x509.Name, key: rsa.RSAPrivateKey, path_length: int) -> x509.CertificateBuilder:
    usage = key_usage(key_cert_sign=True, crl_sign=True)
    begin = datetime.now(UTC) - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def key_usage(
    *,
    digital_signature: bool = False,
    non_repudiation: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """A KeyUsage of which only the named bits are set."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=non_repudiation,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
