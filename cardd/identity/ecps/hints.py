"""Whose mobile to ask when a request does not say: each OS user's own national id, kept when that user agreed."""

from __future__ import annotations

from cardd.core.state_file import StateFile
from cardd.ports import Store

STORE = "login-hints"


class LoginHints:
    """Keeps, gives back and forgets them. Raises StateUnavailable, StateDamaged."""

    def __init__(self, store: Store) -> None:
        self._file = StateFile(store, STORE, dict[str, str])

    def of(self, uid: int) -> str | None:
        """The one that this OS user had kept."""
        return self._kept().get(str(uid))

    def keep(self, uid: int, national_id: str) -> None:
        """Keep it in the place of any other."""
        self._file.save(self._kept() | {str(uid): national_id})

    def forget(self, uid: int) -> None:
        """Keep none."""
        kept = self._kept()
        if kept.pop(str(uid), None) is not None:
            self._file.save(kept)

    def _kept(self) -> dict[str, str]:
        return self._file.load() or {}
