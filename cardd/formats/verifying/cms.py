"""CMS messages (RFC 5652) and CAdES (ETSI EN 319 122-1): by whom, of what, and whether they are intact.

A document of 100 MB inside the message, or beside it, is only hashed as it is read.
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
from cardd.formats.document import pieces, size_of
from cardd.formats.reading import reading
from cardd.formats.verified import Format, Scope, VerifiedSignature, VerifiedTimestamp
from cardd.formats.verifying.ber import BerFile, Part
from cardd.formats.verifying.signer_info import DIGESTS, Judged, certificates_of, judge
from cardd.tlv import encode

AROUND_MAX = 4 * 1024 * 1024  # all that is not the document: certificates, revocation lists, signatures
ENTRIES_MAX = 256  # of each set of them
SEQUENCE = 0x30


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
    """The message without its document, and the document's pieces; None when it is not inside."""
    kind, wrapped = file.few(file.whole(), 2)
    if _type(file, kind) != "signed_data":
        raise DocumentUnsupported(format="CMS", what=_type(file, kind))
    (signed,) = file.few(wrapped, 1)
    version, algorithms, encapsulated, *sets = file.few(signed, 6)
    named, *inside = file.few(encapsulated, 2)
    for part in sets:
        file.few(part, ENTRIES_MAX)
    before, after = ([file.bytes_of(part, AROUND_MAX) for part in parts] for parts in ((version, algorithms), sets))
    bare = encode(SEQUENCE, file.bytes_of(named, AROUND_MAX))
    message = cms.SignedData.load(encode(SEQUENCE, b"".join((*before, bare, *after))))
    return message, file.octets(file.few(inside[0], 1)[0]) if inside else None


def _type(file: BerFile, part: Part) -> str:
    return str(cms.ContentType.load(file.bytes_of(part, AROUND_MAX)).native)


def _digests(content: Iterator[bytes], message: cms.SignedData) -> dict[str, bytes]:
    """The document's digests by all the hashes that are wanted, SHA-256 always; it is read once."""
    wanted = {info["digest_algorithm"]["algorithm"].native for info in message["signer_infos"]}
    running = {name: hashlib.new(name) for name in {"sha256", *wanted} & DIGESTS.keys()}
    for piece in content:
        for digest in running.values():
            digest.update(piece)
    return {name: digest.digest() for name, digest in running.items()}


def _verified(
    info: cms.SignerInfo, message: cms.SignedData, digests: dict[str, bytes], scope: Scope
) -> VerifiedSignature:
    certificates = certificates_of(message)
    content_type = message["encap_content_info"]["content_type"].native
    judged = judge(info, certificates, content_type, lambda name: digests.get(name, b""))
    return VerifiedSignature(
        format=Format.CADES,
        certificate=judged.certificate.dump(),
        chain=tuple(other.dump() for other in certificates if other is not judged.certificate),
        algorithm=judged.algorithm,
        scope=scope,
        digest=digests["sha256"],
        signed_at=_signing_time(judged),
        timestamp=_timestamp(info),
        flaw=judged.flaw,
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
