"""XML signatures written by hand in their canonical form, field by field, as the tests of this folder want them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from hashlib import new
from io import BytesIO

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from cardd.formats.verified import VerifiedSignature
from cardd.formats.xades_read import ALGORITHMS, verify_xades
from cardd.formats.xmldsig import DS, ENVELOPED, XADES
from tests.rig.pens import Pen

EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
METHODS = {name: uri for uri, name in ALGORITHMS.items()}
HASHES = {
    "1": f"{DS}sha1",
    "256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "512": "http://www.w3.org/2001/04/xmlenc#sha512",
}
HASHED = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
ORDER = '<order Id="o">10@</order>'
OCTETS = b'<order Id="o">10</order>'


@dataclass(frozen=True)
class Reference:
    """What is signed, and the octets that it is."""

    uri: str
    octets: bytes
    transforms: tuple[str, ...] = (EXCLUSIVE,)
    by: str = "256"
    prefixes: str = ""

    def written(self) -> str:
        """The ds:Reference."""
        listed = f'<InclusiveNamespaces xmlns="{EXCLUSIVE}" PrefixList="{self.prefixes}"></InclusiveNamespaces>'
        inside = listed if self.prefixes else ""
        transforms = "".join(f'<Transform Algorithm="{name}">{inside}</Transform>' for name in self.transforms)
        digest = b64encode(new(f"sha{self.by}", self.octets, usedforsecurity=False).digest()).decode()
        return (
            f'<Reference URI="{self.uri}"><Transforms>{transforms}</Transforms>'
            f'<DigestMethod Algorithm="{HASHES[self.by]}"></DigestMethod>'
            f"<DigestValue>{digest}</DigestValue></Reference>"
        )


WHOLE = Reference("", OCTETS, (ENVELOPED, EXCLUSIVE))


def signature(
    pen: Pen, *references: Reference, algorithm: str = "ES256", objects: str = "", value: bytes | None = None
) -> str:
    """A ds:Signature by the pen; exclusive canonical XML has its SignedInfo as it is written here."""
    information = (
        f'<SignedInfo xmlns="{DS}"><CanonicalizationMethod Algorithm="{EXCLUSIVE}"></CanonicalizationMethod>'
        f'<SignatureMethod Algorithm="{METHODS[algorithm]}"></SignatureMethod>'
        f"{''.join(reference.written() for reference in references)}</SignedInfo>"
    )
    made = value_of(pen, information.encode(), algorithm) if value is None else value
    certificates = "".join(
        f"<X509Certificate>{b64encode(der).decode()}</X509Certificate>"
        for der in (pen.signer.certificate, *pen.signer.chain)
    )
    return (
        f'<Signature xmlns="{DS}">{information}<SignatureValue>{b64encode(made).decode()}</SignatureValue>'
        f'<KeyInfo Id="k"><X509Data>{certificates}</X509Data></KeyInfo>{objects}</Signature>'
    )


def value_of(pen: Pen, octets: bytes, algorithm: str) -> bytes:
    """The value of a signature of these octets."""
    hashed = HASHED[algorithm[2:]]
    if isinstance(pen.key, ec.EllipticCurvePrivateKey):
        size = -(-pen.key.curve.key_size // 8)
        numbers = decode_dss_signature(pen.key.sign(octets, ec.ECDSA(hashed)))
        return b"".join(number.to_bytes(size, "big") for number in numbers)
    scheme = padding.PSS(padding.MGF1(hashed), hashed.digest_size) if algorithm[:2] == "PS" else padding.PKCS1v15()
    return pen.key.sign(octets, scheme, hashed)


def read(document: str) -> VerifiedSignature:
    """The only signature of a document."""
    (found,) = verify_xades(BytesIO(document.encode()))
    return found


def held(content: str, attributes: str = "") -> tuple[str, bytes]:
    """A ds:Object, and its canonical octets."""
    text = f'<Object{attributes} Id="h">{content}</Object>'
    return text, text.replace("<Object", f'<Object xmlns="{DS}"').encode()


def properties(
    certificate: bytes, by: str = "256", time: str = "", name: str = "SigningCertificateV2", space: str = XADES
) -> str:
    """Signed properties as XAdES has them, in their canonical form."""
    digest = b64encode(new(f"sha{by}", certificate, usedforsecurity=False).digest()).decode()
    return (
        f'<SignedProperties xmlns="{space}" Id="s"><SignedSignatureProperties>{time}<{name}><Cert><CertDigest>'
        f'<DigestMethod xmlns="{DS}" Algorithm="{HASHES[by]}"></DigestMethod>'
        f'<DigestValue xmlns="{DS}">{digest}</DigestValue></CertDigest></Cert></{name}>'
        "</SignedSignatureProperties></SignedProperties>"
    )


def with_properties(pen: Pen, told: str, *, covered: bool = True, space: str = XADES) -> str:
    """A document whose signature has these properties, and covers them or not."""
    objects = f'<Object><QualifyingProperties xmlns="{space}" Target="#x">{told}</QualifyingProperties></Object>'
    references = (WHOLE, Reference("#s", told.encode())) if covered else (WHOLE,)
    return ORDER.replace("@", signature(pen, *references, objects=objects))
