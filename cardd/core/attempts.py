"""Rule 8 beyond one session and one daemon: what was signed under an Idempotency-Key is not signed again.

The audit log keeps a receipt in the commit of the rows (``Receipt``). It holds the bare values, which only the card can
make; what is around them is made again from the same request, at the same time of day. A receipt is sealed with a key
that comes of the caller's own secret, of which the disk has only a fingerprint. A page has no secret: its receipts
are sealed with a key of this daemon's own, and what they hold is lost with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from cardd.errors import AuditSlow, IdempotencyKeyReused, SignatureLost
from cardd.libcrypto import NONCE_SIZE, seal, unseal
from cardd.model import Caller, Message, Receipt
from cardd.ports import AuditLog, Clock
from cardd.values import Value


class SignedMeanwhile(Exception):
    """An attempt that was given up has signed since this one began; it has what was signed now."""


class _Signed(Value):
    """What was signed: when it was prepared, what of each document the key signed, and the values."""

    at: datetime
    digests: tuple[bytes, ...]
    values: tuple[bytes, ...]


class Attempt:
    """One request that may sign; ``at`` is the time of day that its documents name.

    Without a ``receipt`` it cannot be known again: it came without a key.
    """

    def __init__(self, at: datetime, receipt: Receipt | None = None, seal: bytes = b"") -> None:
        self.at = at
        self._receipt = receipt
        self._seal = seal
        self._before: _Signed | None = None

    def signed_before(self, messages: Sequence[Message]) -> list[bytes] | None:
        """Return the values that were signed of just these messages; None where nothing was signed yet.

        Raises SignatureLost.
        """
        if self._before is None:
            return None
        if self._before.digests != tuple(message.digest for message in messages):
            raise _lost(self._receipt)
        return list(self._before.values)

    def has_signed(self, audit: AuditLog) -> bool:
        """Look once more, on the card's thread: an attempt that was given up may have signed. Raises as ``open``."""
        found = audit.find(self._receipt.name) if self._receipt is not None else None
        if found is not None:
            self.open(found)
        return found is not None

    def receipt(self, messages: Sequence[Message] = (), values: Sequence[bytes] = ()) -> Receipt | None:
        """Return what the audit log is to keep; nothing is sealed of what cannot be made again from its values."""
        if self._receipt is None:
            return None
        kept = self._receipt
        return Receipt(kept.name, kept.request, self.at, self._sealed(messages, values) if values else None)

    def open(self, found: Receipt) -> None:
        """Take what was signed before. Raises IdempotencyKeyReused, SignatureLost."""
        if self._receipt is None or found.request != self._receipt.request:
            raise IdempotencyKeyReused
        if found.sealed is None:
            raise _lost(found)
        self._receipt = found
        self._before = self._opened(found.sealed)
        self.at = self._before.at

    def _sealed(self, messages: Sequence[Message], values: Sequence[bytes]) -> bytes:
        told = {
            "at": self.at.isoformat(),
            "digests": [message.digest.hex() for message in messages],
            "values": [value.hex() for value in values],
        }
        nonce = secrets.token_bytes(NONCE_SIZE)
        return nonce + seal(self._seal, nonce, json.dumps(told).encode(), self._bound)

    def _opened(self, sealed: bytes) -> _Signed:
        try:
            told = json.loads(unseal(self._seal, sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], self._bound))
        except ValueError:  # of a page and an earlier daemon, or written over
            raise _lost(self._receipt) from None
        return _Signed(
            datetime.fromisoformat(told["at"]),
            tuple(map(bytes.fromhex, told["digests"])),
            tuple(map(bytes.fromhex, told["values"])),
        )

    @property
    def _bound(self) -> bytes:
        """What the sealed bytes belong to, and to nothing else."""
        return self._receipt.name + self._receipt.request if self._receipt else b""


KEYLESS = Attempt(datetime.min.replace(tzinfo=UTC))  # for what names no time, and came without a key


class Attempts:
    """Knows requests again by caller and key; a disk is waited for so many seconds."""

    def __init__(self, audit: AuditLog, clock: Clock, patience: float) -> None:
        self._audit = audit
        self._clock = clock
        self._patience = patience
        self._own = secrets.token_bytes(32)

    async def begin(self, caller: Caller, key: str, request: bytes) -> Attempt:
        """Return the attempt that this request is, with what was signed for it before.

        ``request`` is all that two requests must have in common to be one. Raises IdempotencyKeyReused, SignatureLost,
        AuditSlow while the disk does not tell, AuditUnavailable.
        """
        at = self._clock.now()
        receipt = Receipt(_digest("name", str(caller.key.uid), caller.key.id, key), _digest("request", request), at)
        attempt = Attempt(at, receipt, caller.seal or self._own)
        try:
            async with asyncio.timeout(self._patience):
                found = await self._audit.receipt(receipt.name)
        except TimeoutError:
            raise AuditSlow(seconds=round(self._patience)) from None
        if found is not None:
            attempt.open(found)
        return attempt


def _lost(found: Receipt | None) -> SignatureLost:
    return SignatureLost(row=found.row if found else 0)


def _digest(kind: str, *parts: str | bytes) -> bytes:
    """Return the SHA-256 of these parts, each behind its length."""
    digest = hashlib.sha256(f"cardd receipt {kind} 1".encode())
    for part in parts:
        octets = part.encode() if isinstance(part, str) else part
        digest.update(len(octets).to_bytes(8, "big") + octets)
    return digest.digest()
