"""Names for what the audit log and the state directory must not tell: patients, documents, values of settings."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Literal

from cardd.core.state_file import StateFile
from cardd.ports import Store

STORE = "pseudonyms"
KEY_SIZE = 32
LENGTH = 16  # hexadecimal digits of a pseudonym
DIGEST = "name:"  # before the digest of a document's name


class DocumentNames:
    """What the log keeps of a document's name: the ``name``, a ``digest`` of it or ``none``.

    Names are a person's words, and patients' names among them. The digest is a pseudonym, as patients have.
    """

    def __init__(self, keep: Literal["name", "digest", "none"], pseudonyms: Pseudonyms) -> None:
        self._keep = keep
        self._pseudonyms = pseudonyms

    def kept(self, name: str) -> str | None:
        """Return what is kept of this name. Raises StateUnavailable, StateDamaged."""
        match self._keep:
            case "name":
                return name
            case "digest":
                return self.digest(name)
            case "none":
                return None

    def digest(self, name: str) -> str:
        """Return what stands in the log for this name, where digests are kept. Raises as ``kept``."""
        return f"{DIGEST}{self._pseudonyms.of(f'{DIGEST}{name}')}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """The key, in hexadecimal."""

    key: str

    def __post_init__(self) -> None:
        """Raises ValueError for what is no key."""
        if len(bytes.fromhex(self.key)) != KEY_SIZE:
            raise ValueError("key")


class Pseudonyms:
    """Names for patients and documents: the same text is the same pseudonym here, and nobody can tell the text.

    The numbers are few enough to be tried one by one, so that a bare hash would hide nothing: the hash is keyed, and
    the key, made with the first pseudonym, stays in the state directory. Who exports the log exports no patient.
    """

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, STORE, _Kept)
        self._key: bytes | None = None

    def of(self, number: str) -> str:
        """Return the pseudonym of this number. Raises StateUnavailable, StateDamaged."""
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
