"""Keys that sign in this process, with the certificates of simulated cards or of a small fictitious authority."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from cardd.formats.prepared import Prepared, Signer
from cardd.model import Algorithm, Message
from cardd.values import Value
from tests.rig.simulator import issue, store

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
DAY = timedelta(days=1)


class Pen(Value):
    """A signer and its key; ``roots`` (PEM) is what a judge trusts."""

    signer: Signer
    key: Key
    roots: bytes

    def write(self, prepared: Prepared) -> bytes:
        """The signed document."""
        return finished(prepared, self.sign(prepared.message))

    def sign(self, message: Message) -> bytes:
        """The value as a card gives it, from the digest alone."""
        hashed = Prehashed(SHA256())
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            numbers = decode_dss_signature(self.key.sign(message.digest, ec.ECDSA(hashed)))
            return b"".join(number.to_bytes(32, "big") for number in numbers)
        if self.signer.algorithm is Algorithm.PS256:
            return self.key.sign(message.digest, padding.PSS(padding.MGF1(SHA256()), 32), hashed)
        return self.key.sign(message.digest, padding.PKCS1v15(), hashed)


@cache
def card_pen(generation: str = "cps3", purpose: str = "signature") -> Pen:
    """The key of a simulated card, ``signature`` or ``authentication``."""
    credential = getattr(issue("medecin", generation=generation), purpose)
    roots = store().chain.read_bytes()
    chain = tuple(der(found) for found in x509.load_pem_x509_certificates(roots))
    return Pen(Signer(der(credential.certificate), chain, Algorithm.RS256), credential.key, roots)


def finished(prepared: Prepared, value: bytes, timestamp: bytes | None = None) -> bytes:
    """The signed document; its file is closed."""
    with prepared.finish(value, timestamp) as signed:
        return signed.read()


def der(certificate: x509.Certificate) -> bytes:
    """The certificate as DER."""
    return certificate.public_bytes(Encoding.DER)


class SmallAuthority:
    """Issues certificates from one root, or from under another authority, as the test wants them.

    ``ocsp`` and ``lists`` are the addresses that the certificates issued from then on name.
    """

    def __init__(
        self,
        name: str = "AC SIMULATION",
        parent: SmallAuthority | None = None,
        key: ec.EllipticCurvePrivateKey | None = None,
        days: tuple[int, int] = (-2000, 2000),
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.parent = parent
        self.ocsp: list[str] = []
        self.lists: list[str] = []
        now = datetime.now(UTC)
        validity = (now + days[0] * DAY, now + days[1] * DAY)
        builder = (parent or self)._builder(self.name, self.key.public_key(), validity)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0 if parent else 1), critical=True)
        builder = builder.add_extension(usage_of("key_cert_sign", "crl_sign"), critical=True)
        self.certificate = builder.sign((parent or self).key, SHA256())

    @property
    def chain(self) -> tuple[bytes, ...]:
        """This authority and those above it (DER)."""
        return (der(self.certificate), *(self.parent.chain if self.parent else ()))

    def responder(self, key: Key, *, days: tuple[int, int] = (-1, 365)) -> x509.Certificate:
        """A certificate that may answer OCSP for this authority, and is asked about by nobody."""
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
        usage = usage_of("digital_signature")
        return self.issue(key, "OCSP SIMULATION", usage, purposes=purposes, days=days, more=[x509.OCSPNoCheck()])

    @property
    def pem(self) -> bytes:
        """What a judge trusts."""
        return self.certificate.public_bytes(Encoding.PEM)

    def pen(
        self, key: Key, algorithm: Algorithm, *, usage: str = "content_commitment", days: tuple[int, int] = (-1, 365)
    ) -> Pen:
        """A signer's certificate, valid between these days from now."""
        certificate = self.issue(key, "PERSONNE SIMULATION", usage_of(usage), days=days)
        return Pen(Signer(der(certificate), self.chain, algorithm), key, self.pem)

    def timestamping(
        self, key: Key, *, critical: bool = True, days: tuple[int, int] = (-1, 365), purpose: bool = True
    ) -> x509.Certificate:
        """A timestamp authority's certificate, or one that only looks like it."""
        oid = ExtendedKeyUsageOID.TIME_STAMPING if purpose else ExtendedKeyUsageOID.CODE_SIGNING
        usage = usage_of("digital_signature")
        purposes = x509.ExtendedKeyUsage([oid])
        return self.issue(key, "HORODATAGE SIMULATION", usage, purposes=purposes, critical=critical, days=days)

    def issue(
        self,
        key: Key,
        name: str,
        usage: x509.KeyUsage | None,
        *,
        purposes: x509.ExtendedKeyUsage | None = None,
        critical: bool = False,
        days: tuple[int, int] = (-1, 365),
        more: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        """A certificate that ends the chain; ``more`` are other extensions."""
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        validity = (now + days[0] * DAY, now + days[1] * DAY)
        builder = self._builder(subject, key.public_key(), validity)
        if usage:
            builder = builder.add_extension(usage, critical=True)
        if purposes:
            builder = builder.add_extension(purposes, critical=critical)
        for extension in more:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, SHA256())

    def _builder(
        self,
        subject: x509.Name,
        key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey,
        validity: tuple[datetime, datetime],
    ) -> x509.CertificateBuilder:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(validity[0])
            .not_valid_after(validity[1])
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if self.ocsp:
            told = [x509.AccessDescription(AuthorityInformationAccessOID.OCSP, _uri(url)) for url in self.ocsp]
            builder = builder.add_extension(x509.AuthorityInformationAccess(told), critical=False)
        if self.lists:
            points = [x509.DistributionPoint([_uri(url)], None, None, None) for url in self.lists]
            builder = builder.add_extension(x509.CRLDistributionPoints(points), critical=False)
        return builder


def _uri(url: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(url)


def usage_of(*named: str) -> x509.KeyUsage:
    """The key usage with these bits."""
    every = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in named for name in every})
