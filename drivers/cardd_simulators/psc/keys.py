"""The keys: an authority of its own, the server's certificate, the key for tokens. Made once, kept in one folder."""

from __future__ import annotations

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from cardd_simulators.cards.certificates import key_usage

DAYS = timedelta(days=3650)
RSA_BITS = 2048
ISSUES = key_usage(key_cert_sign=True, crl_sign=True)


class Keys:
    """The keys of one folder; what is missing is made."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self.authorities = folder / "authority.pem"
        self._server = folder / "server.pem"
        if not self._server.exists():
            self._make()

    def context(self) -> ssl.SSLContext:
        """TLS for a server on loopback."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self._server)
        return context

    def signing(self) -> rsa.RSAPrivateKey:
        """Return an RSA key for tokens."""
        file = self._folder / "signing.pem"
        if not file.exists():
            _write(file, _private(rsa.generate_private_key(65537, RSA_BITS)))
        key = load_pem_private_key(file.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - we wrote it
        return key

    def _make(self) -> None:
        root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        authority, server = _name("AC SIMULATION"), _name("localhost")
        basics = x509.BasicConstraints(ca=True, path_length=0)
        builder = _builder(authority, authority, root).add_extension(basics, critical=True)
        issued = builder.add_extension(ISSUES, critical=True).sign(root, hashes.SHA256())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = _builder(server, authority, own).add_extension(x509.SubjectAlternativeName(names), critical=False)
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())
        certificate = builder.add_extension(above, critical=False).sign(root, hashes.SHA256())
        self.authorities.write_bytes(issued.public_bytes(Encoding.PEM))
        _write(self._server, _private(own) + certificate.public_bytes(Encoding.PEM))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + DAYS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SIMULATION"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        opened.write(content)
