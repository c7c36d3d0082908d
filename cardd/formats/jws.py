"""JWS (RFC 7515), compact or JSON, attached or detached (appendix F), with the headers of JAdES-B (ETSI TS 119 182-1).

The payload is read in pieces; a timestamp (-T) has its place in the unprotected header, which only the JSON form has.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import BinaryIO

from cardd.errors import DocumentEmpty, DocumentTimestampForm, DocumentTooLarge
from cardd.formats.certificate import require_signing
from cardd.formats.document import filled, size_of
from cardd.formats.options import JwsOptions, Serialization
from cardd.formats.prepared import Signer
from cardd.model import JsonValue, Message

PAYLOAD_MAX = 10 * 1024 * 1024
MESSAGE_MAX = 1024 * 1024  # a longer one goes to the key by its digest alone
PIECE = 3 * 256 * 1024  # of the payload: whole groups of base64


DEFAULT = JwsOptions()


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


@dataclass(frozen=True, slots=True)
class JwsPrepared:
    """A JWS that is ready but for its value: ``message`` is its signing input, ``protected`` its encoded header."""

    message: Message
    protected: bytes
    document: BinaryIO
    options: JwsOptions

    def stamped(self, value: bytes) -> bytes:
        """The signature as it is written: JAdES, section 5.3.4."""
        return encoded(value)

    def finish(self, value: bytes, timestamp: bytes | None = None) -> BinaryIO:
        """The JWS, ASCII. Raises DocumentTimestampForm for a timestamp in a compact one."""
        if self.options.serialization is Serialization.JSON:
            return self._json(value, timestamp)
        if timestamp is not None:
            raise DocumentTimestampForm(format="JWS")
        return self._written(self.protected + b".", b"." + encoded(value))

    def _json(self, value: bytes, timestamp: bytes | None) -> BinaryIO:
        members: dict[str, JsonValue] = {"protected": self.protected.decode()}
        if timestamp is not None:
            members["header"] = {"etsiU": [encoded(_json(_stamp(timestamp))).decode()]}
        members["signature"] = encoded(value).decode()
        rest = _json(members)
        return self._written(b"", rest) if self.options.detached else self._written(b'{"payload":"', b'",' + rest[1:])

    def _written(self, before: bytes, after: bytes) -> BinaryIO:
        """What is before the payload, the payload unless it is detached, and what is after it."""
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
