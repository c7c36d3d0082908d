"""A raw signature, made and read: the key's bare value over a document, or over its SHA-256.

Here the values of every format are held against a certificate's key, by the algorithms that are accepted: no SHA-1, no
MD5. Source: RFC 7518.
"""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode
from io import BytesIO
from typing import BinaryIO

from asn1crypto import algos, pem, x509

from cardd.errors import DocumentContentMissing, DocumentIsSignedPart, DocumentMalformed
from cardd.formats.document import UNREADABLE, reading, sha256_of, size_of
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature
from cardd.model import Message
from cardd.values import Value

CONTENT_MAX = 16 * 1024 * 1024  # a longer one goes to the key by its digest alone
HASHES = {"256": "sha256", "384": "sha384", "512": "sha512"}  # by what ends an algorithm's name
ALGORITHMS = frozenset(kind + size for kind in ("RS", "PS", "ES") for size in HASHES)
CERTIFICATES_MAX = 16
PART_MAX = CONTENT_MAX  # bytes of a document that are looked at as another signature's part
ATTRIBUTES = b"\x31"
LENGTH = rb"(?:[\x00-\x80]|\x81.|\x82..|\x83.{3}|\x84.{4})"  # ITU-T X.690, section 8.1.3
ATTRIBUTE_FIRST = re.compile(rb"\x31" + LENGTH + rb"\x30" + LENGTH + rb"\x06", re.DOTALL)
JWS_INPUT = re.compile(rb"[A-Za-z0-9_-]+\.")  # RFC 7515, section 2; the payload may be anything (RFC 7797)
SIGNED_INFO = re.compile(rb"<(?:[^\s<>:/]+:)?SignedInfo[\s>]")  # canonical: nothing stands before it
NUMBERS = 64  # bytes of an ES256 value: two numbers (RFC 7518, section 3.4)


def prepare_raw(document: BinaryIO | None, digest: bytes | None) -> RawPrepared:
    """A signature of either. Raises DocumentContentMissing where there is neither, DocumentIsSignedPart."""
    if digest is not None:
        return RawPrepared(Message(digest))
    if document is None:
        raise DocumentContentMissing
    if (other := signed_part_of(document)) is not None:
        raise DocumentIsSignedPart(format=other)
    is_small = size_of(document) <= CONTENT_MAX
    document.seek(0)
    content = document.read() if is_small else None
    return RawPrepared(Message(sha256_of(document), content))


class RawPrepared(Value):
    """What the key signs, and nothing around it."""

    message: Message

    def stamped(self, value: bytes) -> bytes:
        """The value."""
        return value

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:  # noqa: ARG002 - has no place for it
        """The value."""
        return BytesIO(value)


def accepts(key: bytes, algorithm: str, signature: bytes, digest: bytes, salt: int | None = None) -> bool:
    """Return whether the value is this key's signature of a digest by the algorithm's hash.

    ``key`` is a SubjectPublicKeyInfo (DER), ``algorithm`` one of ``ALGORITHMS`` by its JOSE name; an ECDSA value
    is DER, on whatever curve the key has; ``salt`` is the length that a PSS value must have, any where nothing tells.
    """
    # with the first one that is read: who only signs does without (cardd.libcrypto)
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import Prehashed  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    known = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
    hashed = known[algorithm[2:]]
    try:
        public = load_der_public_key(key)
        match algorithm[:2], public:
            case "RS", rsa.RSAPublicKey():
                public.verify(signature, digest, padding.PKCS1v15(), Prehashed(hashed))
            case "PS", rsa.RSAPublicKey():
                scheme = padding.PSS(padding.MGF1(hashed), padding.PSS.AUTO if salt is None else salt)
                public.verify(signature, digest, scheme, Prehashed(hashed))
            case "ES", ec.EllipticCurvePublicKey():
                public.verify(signature, digest, ec.ECDSA(Prehashed(hashed)))
            case _:
                return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        return False
    return True


def verify_raw(document: BinaryIO, value: bytes, certificates: bytes) -> VerifiedSignature:
    """Verify by RS256, PS256 or ES256, whichever holds; ``certificates``, PEM or DER, begin with the signer's.

    Raises DocumentMalformed when there is no certificate in them.
    """
    with reading(DocumentMalformed(format="X.509")):
        signer, *others = _certificates(certificates)
        key = signer.public_key
        names = ("RS256", "PS256") if key.algorithm in ("rsa", "rsassa_pss") else ("ES256",)
        if names == ("ES256",) and len(value) == NUMBERS:
            value = algos.DSASignature.from_p1363(value).dump()
    digest = sha256_of(document)
    held = [name for name in names if accepts(key.dump(), name, value, digest)]
    context = Flaw.CONTEXT if signed_part_of(document) else None
    return VerifiedSignature(
        format=Format.RAW,
        certificate=signer.dump(),
        chain=tuple(other.dump() for other in others),
        algorithm=(held or names)[0],
        scope=Scope.DETACHED,
        digest=digest,
        flaw=context if held else Flaw.SIGNATURE,
    )


def signed_part_of(document: BinaryIO) -> str | None:
    """Return the format whose signatures sign just such octets; None where there is none.

    The key's value over a CMS message's signed attributes, a JWS's signing input or an XML signature's SignedInfo, made
    as a raw signature, is that message's: with another document beside it that nobody has seen. A long document is told
    by how it begins, for it costs nothing to make another format's part long.
    """
    is_long = size_of(document) > PART_MAX
    document.seek(0)
    octets = document.read(PART_MAX)
    document.seek(0)
    if ATTRIBUTE_FIRST.match(octets) if is_long else _is_attributes(octets):
        return "CAdES"
    if JWS_INPUT.match(octets) and _is_header(octets.partition(b".")[0]):
        return "JWS"
    return "XAdES" if SIGNED_INFO.match(octets) else None


def _is_attributes(octets: bytes) -> bool:
    """Return whether these are a SET OF Attribute, each a type with its values (RFC 5652, section 5.3)."""
    if octets[:1] != ATTRIBUTES:
        return False
    from asn1crypto import cms  # noqa: PLC0415 - few documents begin so

    try:
        types = {attribute["type"].native for attribute in cms.CMSAttributes.load(octets, strict=True)}
    except UNREADABLE:
        return False
    return "message_digest" in types


def _is_header(encoded: bytes) -> bool:
    try:
        header = json.loads(urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4)))
    except ValueError:
        return False
    except RecursionError:  # too deep for us, and perhaps for no other verifier
        return True
    return isinstance(header, dict) and "alg" in header


def _certificates(given: bytes) -> list[x509.Certificate]:
    """Return the certificates, one at least, each read as a whole. Raises what a decoder does."""
    found = [given]
    if pem.detect(given):
        found = [der for kind, _, der in pem.unarmor(given, multiple=True) if kind == "CERTIFICATE"]
    if not 1 <= len(found) <= CERTIFICATES_MAX:
        raise ValueError(len(found))
    read = [x509.Certificate.load(der, strict=True) for der in found]
    for certificate in read:
        certificate.native  # noqa: B018 - reads it wholly
    return read
