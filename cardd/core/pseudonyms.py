"""Patients in the audit log: the same number is the same pseudonym on this workstation, and nobody can tell the number.

The numbers are few enough to be tried one by one, so that a bare hash would hide nothing: the hash is keyed, and the
key stays in the state directory. Who exports the log exports no patient.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

from cardd.ports import Store

NAME = "pseudonyms"
KEY_SIZE = 32
LENGTH = 16  # hexadecimal digits


class Pseudonyms:
    """Makes them; the key is made with the first one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key: bytes | None = None

    def of(self, number: str) -> str:
        """The pseudonym of this number. Raises StateUnavailable."""
        if self._key is None:
            self._key = self._kept() or self._new()
        return hmac.new(self._key, number.encode(), hashlib.sha256).hexdigest()[:LENGTH]

    def _kept(self) -> bytes | None:
        text = self._store.load(NAME)
        return bytes.fromhex(json.loads(text)["key"]) if text else None

    def _new(self) -> bytes:
        key = secrets.token_bytes(KEY_SIZE)
        self._store.save(NAME, json.dumps({"key": key.hex()}))
        return key
