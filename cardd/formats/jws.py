"""JWS (RFC 7515), compact or JSON, attached or detached (appendix F), with the headers of JAdES-B (ETSI TS 119 182-1).

To sign it, the payload is read in pieces; a timestamp (-T) has its place in the unprotected header, which only the JSON
form has. A JWS that is read may be a general one too; its certificate is in its protected header (``x5c``).
"""

from __future__ import annotations

import hmac
import json
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import new, sha256
from typing import BinaryIO, cast

from asn1crypto import algos, x509
from msgspec import Struct, ValidationError, field
from msgspec.json import decode

from cardd.errors import (
    DocumentAmbiguous,
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentMalformed,
    DocumentTimestampForm,
    DocumentTooLarge,
    DocumentUnsupported,
    TimestampMalformed,
)
from cardd.formats import timestamp
from cardd.formats.certificate import require_signing
from cardd.formats.document import filled, reading, size_of
from cardd.formats.options import JwsOptions, Serialization
from cardd.formats.prepared import Signer
from cardd.formats.raw import ALGORITHMS, HASHES, accepts
from cardd.formats.verified import Flaw, Format, Scope, VerifiedSignature, VerifiedTimestamp, claimed_time
from cardd.model import JsonValue, Message
from cardd.values import Value

PAYLOAD_MAX = 10 * 1024 * 1024
MESSAGE_MAX = 1024 * 1024  # a longer one goes to the key by its digest alone
PIECE = 3 * 256 * 1024  # of the payload: whole groups of base64

DEFAULT = JwsOptions()
DOCUMENT_MAX = PAYLOAD_MAX * 3 // 2  # the payload in base64, and what is around it
SIGNATURES_MAX = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MEMBERS = {"payload", "protected", "header", "signature", "signatures"}
UNDERSTOOD = {"sigT"}  # of what a header may call critical
CURVES = {"ES256": ("secp256r1", 64), "ES384": ("secp384r1", 96), "ES512": ("secp521r1", 132)}


def prepare_jws(document: BinaryIO, signer: Signer, now: datetime, options: JwsOptions = DEFAULT) -> JwsPrepared:
    """A signature of this document, which stays open until the end; ``now`` is the signing time that is claimed.

    Raises DocumentEmpty, DocumentTooLarge, DocumentTimestampForm, and as ``require_signing`` does.
    """
    require_signing(signer, now)
    if options.stamped and options.serialization is Serialization.COMPACT:
        raise DocumentTimestampForm(format="JWS")
    size = size_of(document)
    if size == 0:
        raise DocumentEmpty
    if size > PAYLOAD_MAX:
        raise DocumentTooLarge(format="JWS", limit=PAYLOAD_MAX)
    protected = encoded(_json(_header(signer, now, options)))
    return JwsPrepared(_message(protected, document), protected, document, options)


class JwsPrepared(Value):
    """A JWS that is ready but for its value: ``message`` is its signing input, ``protected`` its encoded header."""

    message: Message
    protected: bytes
    document: BinaryIO
    options: JwsOptions

    def stamped(self, value: bytes) -> bytes:
        """The signature as it is written: JAdES, section 5.3.4."""
        return encoded(value)

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The JWS, ASCII; no timestamp is asked for a compact one."""
        if self.options.serialization is Serialization.JSON:
            return self._json(value, timestamp)
        return self._written(self.protected + b".", b"." + encoded(value))

    def _json(self, value: bytes, timestamp: bytes | None) -> BinaryIO:
        members: dict[str, JsonValue] = {"protected": self.protected.decode()}
        if timestamp is not None:
            members["header"] = {"etsiU": [encoded(_json(_stamp(timestamp))).decode()]}
        members["signature"] = encoded(value).decode()
        rest = _json(members)
        return self._written(b"", rest) if self.options.detached else self._written(b'{"payload":"', b'",' + rest[1:])

    def _written(self, before: bytes, after: bytes) -> BinaryIO:
        """Return what is before the payload, the payload unless it is detached, and what is after it."""
        with filled() as signed:
            signed.write(before)
            if not self.options.detached:
                signed.writelines(_payload(self.document))
            signed.write(after)
        return signed


def encoded(content: bytes) -> bytes:
    """Base64url without padding (RFC 7515, section 2)."""
    return urlsafe_b64encode(content).rstrip(b"=")


def decoded(text: str) -> bytes:
    """The content again. Raises ValueError for what ``encoded`` never writes."""
    content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if encoded(content) != text.encode():
        raise ValueError("not base64url as RFC 7515 has it")
    return content


def _message(protected: bytes, document: BinaryIO) -> Message:
    digest, content = sha256(), bytearray()
    is_small = len(protected) + size_of(document) * 4 // 3 < MESSAGE_MAX
    for piece in (protected, b".", *_payload(document)):
        digest.update(piece)
        if is_small:
            content += piece
    return Message(digest.digest(), bytes(content) if is_small else None)


def _payload(document: BinaryIO) -> Iterator[bytes]:
    document.seek(0)
    while piece := document.read(PIECE):
        yield encoded(piece)


def _header(signer: Signer, now: datetime, options: JwsOptions) -> dict[str, JsonValue]:
    """JAdES, section 6.3: ``iat`` is the signing time, and the certificate is tied in by its digest."""
    told = {"typ": options.typ, "cty": options.cty}
    return {
        "alg": signer.algorithm.value,
        **{name: value for name, value in told.items() if value is not None},
        "iat": int(now.timestamp()),
        "x5t#S256": encoded(sha256(signer.certificate).digest()).decode(),
        "x5c": [b64encode(der).decode() for der in (signer.certificate, *signer.chain)],
    }


def _stamp(token: bytes) -> dict[str, JsonValue]:
    """JAdES, section 5.3.4."""
    return {"sigTst": {"tstTokens": [{"val": b64encode(token).decode()}]}}


def _json(members: dict[str, JsonValue]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


class _Header(Struct):
    alg: str
    x5c: list[str] = []
    thumbprint: str | None = field(name="x5t#S256", default=None)
    iat: float | None = None
    sigT: str | None = None  # noqa: N815 - JAdES before 2025 claims the time here
    crit: list[str] | None = None


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
        payload, signatures, whole = _parsed(_all(document, DOCUMENT_MAX))
        if payload and content is not None:
            raise DocumentContentTwice
        if not payload and content is None:
            raise DocumentContentMissing
        scope = whole if content is None else Scope.DETACHED
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


def _parsed(text: bytes) -> tuple[str, list[_Signature], Scope]:
    """The encoded payload, empty when it is detached, the signatures, and whether nothing else can be read.

    Members that a JWS has not (RFC 7515, section 7.2) make it a part: verifiers pass over what a reader finds there.
    """
    if not text.lstrip().startswith(b"{"):
        protected, payload, signature = text.decode("ascii").strip().split(".")
        return payload, [_Signature(protected, signature)], Scope.WHOLE
    members = _unique(text)
    if {"signature", "signatures"} <= members.keys():
        raise DocumentAmbiguous(what="signature, signatures", why="both")
    try:
        read: _General | _Flattened = decode(text, type=_General)
    except ValidationError:
        read = decode(text, type=_Flattened)
    signatures = list[_Signature](read.signatures if isinstance(read, _General) else [read])
    if not 1 <= len(signatures) <= SIGNATURES_MAX:
        raise DocumentUnsupported(format="JWS", what="signatures")
    objects = [members, *cast(list[dict[str, JsonValue]], members.get("signatures", []))]
    is_whole = all(MEMBERS.issuperset(one) for one in objects)
    return read.payload, signatures, Scope.WHOLE if is_whole else Scope.PART


def _unique(text: bytes) -> dict[str, JsonValue]:
    """Return a JSON object whose members are there once: of two of a name, one reader takes the first, one the last.

    Some readers take no notice of capitals.
    """

    def once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        seen = set[str]()
        for name, _ in pairs:
            if name.casefold() in seen:
                raise DocumentAmbiguous(what=name[:48], why="twice")
            seen.add(name.casefold())
        return dict(pairs)

    read: dict[str, JsonValue] = json.loads(text, object_pairs_hook=once)
    return read


def _verified(signature: _Signature, payload: bytes, scope: Scope) -> VerifiedSignature:
    protected = decoded(signature.protected)
    header = decode(protected, type=_Header)
    _unique(protected)
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
    crit = header.crit
    if crit is not None and (not crit or ("sigT" in crit and header.sigT is None)):  # RFC 7515, section 4.1.11
        raise DocumentMalformed(format="JWS")
    if unknown := set(crit or ()) - UNDERSTOOD:
        raise DocumentUnsupported(format="JWS", what=f"crit {min(unknown)[:16]}")
    if not header.x5c:
        raise DocumentUnsupported(format="JWS", what="x5c")


def _flaw(header: _Header, certificate: x509.Certificate, value: bytes, before: str, payload: bytes) -> Flaw | None:
    thumbprint = sha256(certificate.dump()).digest()
    if header.thumbprint is not None and not hmac.compare_digest(decoded(header.thumbprint), thumbprint):
        return Flaw.CERTIFICATE
    digest = new(HASHES[header.alg[2:]], before.encode())
    digest.update(encoded(payload))
    key = certificate.public_key
    if header.alg in CURVES:
        curve, size = CURVES[header.alg]
        if key.algorithm != "ec" or key.curve != ("named", curve) or len(value) != size:
            return Flaw.SIGNATURE
        value = algos.DSASignature.from_p1363(value).dump()
    salt = digest.digest_size  # RFC 7518, section 3.5
    return None if accepts(key.dump(), header.alg, value, digest.digest(), salt) else Flaw.SIGNATURE


def _signing_time(header: _Header) -> datetime | None:
    if header.iat is not None:
        return EPOCH + timedelta(seconds=header.iat)  # fromtimestamp has the system's own faults
    return claimed_time(header.sigT) if header.sigT else None


def _timestamp(signature: _Signature) -> VerifiedTimestamp | None:
    """The first signature timestamp (JAdES, section 5.3.4)."""
    for entry in signature.header.etsi if signature.header else ():
        found = decode(decoded(entry), type=_Etsi).stamp
        if found and found.tokens:
            return timestamp.verified(b64decode(found.tokens[0].val, validate=True), signature.signature.encode())
    return None
