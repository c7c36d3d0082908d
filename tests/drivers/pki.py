"""Keys and certificates of invented people, in the profile of a CPx, made once a test run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cardd.tlv import encode
from tests.rig.pens import usage_of

NOT_BEFORE, NOT_AFTER = datetime(2024, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
PADDING_OID = "1.3.6.1.4.1.99999.1"  # an extension that only makes the certificate as long as a real one

EXTENSIONS = {
    "1.2.250.1.71.1.2.2": encode(0x02, b"\x00"),
    "1.2.250.1.71.1.2.3": encode(0x13, b"8025000001/2699213845"),
    "1.2.250.1.71.1.2.5": encode(0x04, b"\x80"),
    "1.2.250.1.71.1.2.7": encode(0x02, b"\x0a"),
    "1.2.250.1.71.4.2.5": encode(0x30, encode(0x0C, b"SM26")),
}


@dataclass(frozen=True)
class Pair:
    """A private key and the certificate that goes with it."""

    key: RSAPrivateKey
    der: bytes


def subject(common_name: str | None = "899700000001") -> x509.Name:
    """One multi-valued RDN with the holder, as on real cards."""
    holder = [
        x509.NameAttribute(NameOID.GIVEN_NAME, "SIMULATION"),
        x509.NameAttribute(NameOID.SURNAME, "MÉDECIN FICTIF"),
    ]
    if common_name is not None:
        holder.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COUNTRY_NAME, "FR")]),
            x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.TITLE, "Médecin")]),
            x509.RelativeDistinguishedName(holder),
        ]
    )


def certificate(
    key: RSAPrivateKey,
    *,
    signature: bool,
    name: x509.Name | None = None,
    extensions: dict[str, bytes] | None = None,
    size: int = 2050,
) -> bytes:
    """A self-signed certificate of about ``size`` bytes at least."""

    def build(filler: int) -> bytes:
        builder = x509.CertificateBuilder(
            subject_name=name or subject(),
            issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "SIMULATION")]),
            public_key=key.public_key(),
            serial_number=0x0A0B0C,
            not_valid_before=NOT_BEFORE,
            not_valid_after=NOT_AFTER,
        ).add_extension(usage_of("content_commitment" if signature else "digital_signature"), critical=True)
        told = EXTENSIONS if extensions is None else extensions
        for oid, value in {**told, PADDING_OID: encode(0x04, bytes(filler))}.items():
            builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), False)
        return builder.sign(key, SHA256()).public_bytes(Encoding.DER)

    return build(max(0, size - len(build(0))))


@cache
def signature_pair() -> Pair:
    """The signature key's."""
    key = generate_private_key(65537, 2048)
    return Pair(key, certificate(key, signature=True))


@cache
def authentication_pair() -> Pair:
    """The authentication key's."""
    key = generate_private_key(65537, 2048)
    return Pair(key, certificate(key, signature=False))
