"""Patients in the audit log: the same number is the same pseudonym on this workstation, and nobody can tell the number.

The numbers are few enough to be tried one by one, so that a bare hash would hide nothing: the hash is keyed, and the
key stays in the state directory. Who exports the log exports no patient.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cardd.core.state_file import StateFile
from cardd.ports import Store

NAME = "pseudonyms"
KEY_SIZE = 32
LENGTH = 16  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class _Kept:
    """The key, in hexadecimal."""

    key: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no key."""
        if len(bytes.fromhex(self.key)) != KEY_SIZE:
            raise ValueError("key")


class Pseudonyms:
    """Makes them; the key is made with the first one."""

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, NAME, _Kept)
        self._key: bytes | None = None

    def of(self, number: str) -> str:
        """The pseudonym of this number. Raises StateUnavailable, StateDamaged."""
        if self._key is None:
            self._key = self._kept() or self._new()
        return hmac.new(self._key, number.encode(), hashlib.sha256).hexdigest()[:LENGTH]

    def _kept(self) -> bytes | None:
        kept = self._file.load()
        return bytes.fromhex(kept.key) if kept else None

    def _new(self) -> bytes:
        key = secrets.token_bytes(KEY_SIZE)
        self._file.save(_Kept(key.hex()))
        return key
