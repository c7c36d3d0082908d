"""Certificates of a fictitious authority: the provider's, and an organisation's client certificate."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from cryptography.x509.oid import NameOID

from tests.rig.pens import usage_of

ORGANISATION = "CABINET SIMULATION"


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let a TLS context show it; Python reads it from a file only."""
        handle = os.memfd_create("simulation")
        os.write(handle, self.key + self.certificate)
        context.load_cert_chain(f"/proc/self/fd/{handle}")
        os.close(handle)

    def pkcs12(self, password: bytes) -> bytes:
        """Both in the form in which ANS gives them to an organisation."""
        key = load_pem_private_key(self.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        certificate = x509.load_pem_x509_certificate(self.certificate)
        return serialize_key_and_certificates(b"SIMULATION", key, certificate, None, BestAvailableEncryption(password))

    @property
    def der(self) -> bytes:
        """The certificate as DER."""
        return x509.load_pem_x509_certificate(self.certificate).public_bytes(Encoding.DER)


class Authority:
    """Issues certificates that nobody but the tests trusts."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("AC SIMULATION")
        usage = usage_of("key_cert_sign", "crl_sign")
        builder = self._builder(self._name, self._key.public_key()).add_extension(usage, critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """What a client trusts."""
        return self._certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        name: str,
        curve: ec.EllipticCurve | None = None,
        *,
        host: str = "localhost",
        addresses: Sequence[str] = ("127.0.0.1",),
        days: tuple[float, float] = (-1, 1),
    ) -> Issued:
        """A certificate for loopback servers and for clients alike, valid between these days from now."""
        key = ec.generate_private_key(curve or ec.SECP256R1())
        names = x509.SubjectAlternativeName(
            [x509.DNSName(host), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
        )
        builder = self._builder(_named(name), key.public_key(), days).add_extension(names, critical=False)
        builder = builder.add_extension(usage_of("digital_signature"), critical=True)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Issued(
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: tuple[float, float] = (-1, 1)
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
