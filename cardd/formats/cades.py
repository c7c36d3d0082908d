"""CAdES-B and -T (ETSI EN 319 122-1), made and read: a CMS message that holds the document, or stands beside it.

The document is never in memory. Made: the lengths of what is around it are computed, and it is copied in pieces. Read:
it is only hashed, inside the message or beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import BinaryIO

from asn1crypto import cms

from cardd.errors import (
    DocumentContentMissing,
    DocumentContentTwice,
    DocumentEmpty,
    DocumentMalformed,
    DocumentUnsupported,
    TimestampMalformed,
)
from cardd.formats import timestamp
from cardd.formats.ber import BerFile, Part
from cardd.formats.certificate import require_signing
from cardd.formats.cms import DIGESTS, SEQUENCE, SET, Judged, SignerPart, certificates_of, judge, signer_part
from cardd.formats.document import filled, new_document, pieces, reading, sha256_of, size_of
from cardd.formats.prepared import Signer
from cardd.formats.verified import Format, Scope, VerifiedSignature, VerifiedTimestamp
from cardd.model import Message
from cardd.tlv import encode, header
from cardd.values import Value

OCTET_STRING, EXPLICIT, IMPLICIT = 0x04, 0xA0, 0xA0
VERSION = encode(0x02, b"\x01")
SHA256 = encode(SET, cms.DigestAlgorithm({"algorithm": "sha256"}).dump())
DATA, SIGNED_DATA = (cms.ContentType(name).dump() for name in ("data", "signed_data"))
AROUND_MAX = 4 * 1024 * 1024  # all that is not the document: certificates, revocation lists, signatures
ENTRIES_MAX = 256  # of each set of them


def prepare_cades(
    document: BinaryIO, signer: Signer, now: datetime, *, detached: bool = False, mime_type: str | None = None
) -> CadesPrepared:
    """A signature of this document, which stays open until the end; ``now`` is the signing time that is claimed.

    Raises DocumentEmpty, and as ``require_signing`` does.
    """
    require_signing(signer, now)
    if size_of(document) == 0:
        raise DocumentEmpty
    part = signer_part(signer, sha256_of(document), now, mime_type)
    return CadesPrepared(part, None if detached else document)


def prepare_cades_digest(
    digest: bytes, signer: Signer, now: datetime, *, mime_type: str | None = None
) -> CadesPrepared:
    """A detached signature of the document that has this SHA-256. Raises as ``require_signing`` does."""
    require_signing(signer, now)
    return CadesPrepared(signer_part(signer, digest, now, mime_type), None)


class CadesPrepared(Value):
    """A CAdES signature that is ready but for its value; ``content`` is the document that it will hold."""

    part: SignerPart
    content: BinaryIO | None

    @property
    def message(self) -> Message:
        """The signed attributes."""
        return self.part.message

    def stamped(self, value: bytes) -> bytes:
        """The signature value."""
        return self.part.stamped(value)

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The CMS message, DER."""
        certificates = sorted({self.part.signer.certificate, *self.part.signer.chain})
        after = encode(IMPLICIT, b"".join(certificates)) + encode(SET, self.part.info(value, timestamp))
        if self.content is None:
            return new_document(_before(None, len(after)) + after)
        with filled() as signed:
            signed.write(_before(size_of(self.content), len(after)))
            signed.writelines(pieces(self.content))
            signed.write(after)
        return signed


def _before(size: int | None, after: int) -> bytes:
    """Return what comes before a content of ``size`` bytes (None: it is elsewhere), when ``after`` bytes follow it."""
    content = size or 0
    head = b"" if size is None else _explicit(header(OCTET_STRING, size), content)
    head = VERSION + SHA256 + _sequence(DATA + head, content)
    head = _explicit(_sequence(head, content + after), content + after)
    return _sequence(SIGNED_DATA + head, content + after)


def _sequence(head: bytes, rest: int) -> bytes:
    return header(SEQUENCE, len(head) + rest) + head


def _explicit(head: bytes, rest: int) -> bytes:
    return header(EXPLICIT, len(head) + rest) + head


def verify_cms(document: BinaryIO, content: BinaryIO | None = None) -> list[VerifiedSignature]:
    """Each signature of a CMS message (BER); ``content`` is the signed document when it is not inside.

    Raises DocumentEmpty, DocumentMalformed, DocumentUnsupported, DocumentContentMissing, DocumentContentTwice.
    """
    if size_of(document) == 0:
        raise DocumentEmpty
    with reading(DocumentMalformed(format="CMS"), TimestampMalformed):
        message, inside = _read(BerFile(document))
        digests = _digests(_content(inside, content), message)
        scope = Scope.DETACHED if inside is None else Scope.WHOLE
        return [_verified(info, message, digests, scope) for info in message["signer_infos"]]


def _content(inside: Iterator[bytes] | None, beside: BinaryIO | None) -> Iterator[bytes]:
    if inside is not None and beside is not None:
        raise DocumentContentTwice
    if inside is not None:
        return inside
    if beside is None:
        raise DocumentContentMissing
    return pieces(beside)


def _read(file: BerFile) -> tuple[cms.SignedData, Iterator[bytes] | None]:
    """The message without its document, and the document's pieces; None when it is not inside.

    The tags are those of RFC 5652: another reader finds no document, or another one, where a wrong tag stands.
    """
    kind, wrapped = file.few(file.whole(), 2, SEQUENCE)
    if _type(file, kind) != "signed_data":
        raise DocumentUnsupported(format="CMS", what=_type(file, kind))
    (signed,) = file.few(wrapped, 1, EXPLICIT)
    version, algorithms, encapsulated, *sets = file.few(signed, 6, SEQUENCE)
    named, *inside = file.few(encapsulated, 2, SEQUENCE)
    for part in sets:
        file.few(part, ENTRIES_MAX)
    before, after = ([file.bytes_of(part, AROUND_MAX) for part in parts] for parts in ((version, algorithms), sets))
    bare = encode(SEQUENCE, file.bytes_of(named, AROUND_MAX))
    message = cms.SignedData.load(encode(SEQUENCE, b"".join((*before, bare, *after))))
    return message, file.octets(file.few(inside[0], 1, EXPLICIT)[0]) if inside else None


def _type(file: BerFile, part: Part) -> str:
    return str(cms.ContentType.load(file.bytes_of(part, AROUND_MAX)).native)


def _digests(content: Iterator[bytes], message: cms.SignedData) -> dict[str, bytes]:
    """The document's digests by all the hashes that are wanted, SHA-256 always; it is read once."""
    wanted = {info["digest_algorithm"]["algorithm"].native for info in message["signer_infos"]}
    running = {name: hashlib.new(name) for name in {"sha256", *wanted} & DIGESTS.keys()}
    is_empty = True
    for piece in content:
        is_empty = is_empty and not piece
        for digest in running.values():
            digest.update(piece)
    if is_empty:
        raise DocumentEmpty
    return {name: digest.digest() for name, digest in running.items()}


def _verified(
    info: cms.SignerInfo, message: cms.SignedData, digests: dict[str, bytes], scope: Scope
) -> VerifiedSignature:
    judged = judge(info, message, lambda name: digests.get(name, b""))
    return VerifiedSignature(
        format=Format.CADES,
        certificate=judged.certificate.dump(),
        chain=tuple(other.dump() for other in certificates_of(message) if other is not judged.certificate),
        algorithm=judged.algorithm,
        scope=scope,
        digest=digests["sha256"],
        signed_at=_signing_time(judged),
        timestamp=_timestamp(info),
        flaw=judged.flaw,
        names_certificate=judged.flaw is not None or judged.names_certificate,
        path_named=judged.path_named,
    )


def _signing_time(judged: Judged) -> datetime | None:
    attribute = judged.attributes.get("signing_time")
    if attribute is None:
        return None
    told: datetime = attribute["values"][0].native
    return told.astimezone(UTC)


def _timestamp(info: cms.SignerInfo) -> VerifiedTimestamp | None:
    """The first signature timestamp."""
    for attribute in info["unsigned_attrs"] or ():
        if attribute["type"].native == "signature_time_stamp_token":
            return timestamp.verified(attribute["values"][0].dump(), info["signature"].native)
    return None
