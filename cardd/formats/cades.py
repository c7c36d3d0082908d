"""CAdES-B and -T (ETSI EN 319 122-1): a CMS message that holds the document, or that stands beside it.

The document is never in memory: the lengths of what is around it are computed, and it is copied in pieces.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from asn1crypto import cms

from cardd.errors import DocumentEmpty
from cardd.formats.certificate import require_signing
from cardd.formats.cms import SEQUENCE, SET, SignerPart, signer_part
from cardd.formats.document import filled, new_document, pieces, sha256_of, size_of
from cardd.formats.prepared import Signer
from cardd.model import Message
from cardd.tlv import encode, header

OCTET_STRING, EXPLICIT, IMPLICIT = 0x04, 0xA0, 0xA0
VERSION = encode(0x02, b"\x01")
SHA256 = encode(SET, cms.DigestAlgorithm({"algorithm": "sha256"}).dump())
DATA, SIGNED_DATA = (cms.ContentType(name).dump() for name in ("data", "signed_data"))


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


@dataclass(frozen=True, slots=True)
class CadesPrepared:
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
    """What comes before a content of ``size`` bytes (None: it is elsewhere), when ``after`` bytes follow it."""
    content = size or 0
    head = b"" if size is None else _explicit(header(OCTET_STRING, size), content)
    head = VERSION + SHA256 + _sequence(DATA + head, content)
    head = _explicit(_sequence(head, content + after), content + after)
    return _sequence(SIGNED_DATA + head, content + after)


def _sequence(head: bytes, rest: int) -> bytes:
    return header(SEQUENCE, len(head) + rest) + head


def _explicit(head: bytes, rest: int) -> bytes:
    return header(EXPLICIT, len(head) + rest) + head
