"""JWS (RFC 7515), compact, flattened or general JSON, whose certificate is in its protected header (``x5c``)."""

from __future__ import annotations

import hmac
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import new, sha256
from typing import BinaryIO

from asn1crypto import algos, x509
from msgspec import Struct, ValidationError, field, json

from cardd.errors import (
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentMalformed,
    DocumentTooLarge,
    DocumentUnsupported,
    TimestampMalformed,
)
from cardd.formats import timestamp
from cardd.formats.document import size_of
from cardd.formats.jws import PAYLOAD_MAX, decoded, encoded
from cardd.formats.reading import reading
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature, VerifiedTimestamp
from cardd.formats.verifying.keys import ALGORITHMS, HASHES, accepts

DOCUMENT_MAX = PAYLOAD_MAX * 3 // 2  # the payload in base64, and what is around it
SIGNATURES_MAX = 64
UNDERSTOOD = {"sigT"}  # of what a header may call critical
CURVES = {"ES256": ("secp256r1", 64), "ES384": ("secp384r1", 96), "ES512": ("secp521r1", 132)}


class _Header(Struct):
    alg: str
    x5c: list[str] = []
    thumbprint: str | None = field(name="x5t#S256", default=None)
    iat: float | None = None
    sigT: str | None = None  # noqa: N815 - JAdES before 2025 claims the time here
    crit: list[str] = []


class _Unprotected(Struct):
    etsi: list[str] = field(name="etsiU", default_factory=list)


class _Signature(Struct):
    protected: str
    signature: str
    header: _Unprotected | None = None


class _General(Struct):
    signatures: list[_Signature]
    payload: str = ""


class _Flattened(_Signature, kw_only=True):
    payload: str = ""


class _Token(Struct):
    val: str


class _Tokens(Struct):
    tokens: list[_Token] = field(name="tstTokens", default_factory=list)


class _Etsi(Struct):
    stamp: _Tokens | None = field(name="sigTst", default=None)


def verify_jws(document: BinaryIO, content: BinaryIO | None = None) -> list[VerifiedSignature]:
    """Each signature of a JWS; ``content`` is the payload when it is not inside.

    Raises DocumentEmpty, DocumentTooLarge, DocumentMalformed, DocumentUnsupported, DocumentContentMissing,
    DocumentContentTwice.
    """
    with reading(DocumentMalformed(format="JWS"), TimestampMalformed):
        payload, signatures = _parsed(_all(document, DOCUMENT_MAX))
        if payload and content is not None:
            raise DocumentContentTwice
        if not payload and content is None:
            raise DocumentContentMissing
        scope = Scope.WHOLE if content is None else Scope.DETACHED
        inside = decoded(payload) if content is None else _all(content, PAYLOAD_MAX)
        return [_verified(signature, inside, scope) for signature in signatures]


def _all(document: BinaryIO, limit: int) -> bytes:
    size = size_of(document)
    if size == 0:
        raise DocumentEmpty
    if size > limit:
        raise DocumentTooLarge(format="JWS", limit=limit)
    document.seek(0)
    return document.read()


def _parsed(text: bytes) -> tuple[str, list[_Signature]]:
    """The encoded payload, empty when it is detached, and the signatures."""
    if not text.lstrip().startswith(b"{"):
        protected, payload, signature = text.decode("ascii").strip().split(".")
        return payload, [_Signature(protected, signature)]
    try:
        read: _General | _Flattened = json.decode(text, type=_General)
    except ValidationError:
        read = json.decode(text, type=_Flattened)
    signatures = list[_Signature](read.signatures if isinstance(read, _General) else [read])
    if not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise DocumentUnsupported(format="JWS", what="signatures")
    return read.payload, signatures


def _verified(signature: _Signature, payload: bytes, scope: Scope) -> VerifiedSignature:
    header = json.decode(decoded(signature.protected), type=_Header)
    _require_understood(header)
    leaf, *others = (b64decode(text, validate=True) for text in header.x5c)
    value = decoded(signature.signature)
    return VerifiedSignature(
        format=Format.JWS,
        certificate=leaf,
        chain=tuple(others),
        algorithm=header.alg,
        scope=scope,
        digest=sha256(payload).digest(),
        signed_at=_signing_time(header),
        timestamp=_timestamp(signature),
        flaw=_flaw(header, x509.Certificate.load(leaf, strict=True), value, f"{signature.protected}.", payload),
    )


def _require_understood(header: _Header) -> None:
    if header.alg not in ALGORITHMS:
        raise DocumentUnsupported(format="JWS", what=f"alg {header.alg[:16]}")
    if unknown := set(header.crit) - UNDERSTOOD:
        raise DocumentUnsupported(format="JWS", what=f"crit {min(unknown)[:16]}")
    if not header.x5c:
        raise DocumentUnsupported(format="JWS", what="x5c")


def _flaw(header: _Header, certificate: x509.Certificate, value: bytes, before: str, payload: bytes) -> Flaw | None:
    thumbprint = sha256(certificate.dump()).digest()
    if header.thumbprint is not None and not hmac.compare_digest(decoded(header.thumbprint), thumbprint):
        return Flaw.CERTIFICATE
    digest = new(HASHES[header.alg[2:]].name, before.encode())
    digest.update(encoded(payload))
    key = certificate.public_key
    if header.alg in CURVES:
        curve, size = CURVES[header.alg]
        if key.algorithm != "ec" or key.curve != ("named", curve) or len(value) != size:
            return Flaw.SIGNATURE
        value = algos.DSASignature.from_p1363(value).dump()
    return None if accepts(key.dump(), header.alg, value, digest.digest()) else Flaw.SIGNATURE


def _signing_time(header: _Header) -> datetime | None:
    if header.iat is not None:
        return datetime.fromtimestamp(header.iat, UTC)
    return datetime.fromisoformat(header.sigT).astimezone(UTC) if header.sigT else None


def _timestamp(signature: _Signature) -> VerifiedTimestamp | None:
    """The first signature timestamp (JAdES, section 5.3.4)."""
    for entry in signature.header.etsi if signature.header else ():
        found = json.decode(decoded(entry), type=_Etsi).stamp
        if found and found.tokens:
            return timestamp.verified(b64decode(found.tokens[0].val, validate=True), signature.signature.encode())
    return None
