"""What cardctl remembers between two runs: its client secret, and the session that later commands use.

The secret stands in ``$XDG_STATE_HOME/cardd``, the session in ``$XDG_RUNTIME_DIR/cardd``, which ends with the user's
own session on the machine; both mode 0600. Each belongs to the address of one daemon, and is shown to no other.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from cardd.errors import SessionUnknown
from cardd.system.store import FileStore

CLIENT, SESSION = "cardctl-client", "cardctl-session"


class Remembered:
    """What is remembered of the daemon at ``where``. All methods raise StateUnavailable."""

    def __init__(self, where: str) -> None:
        state = _directory("XDG_STATE_HOME", Path.home() / ".local" / "state")
        runtime = _directory("XDG_RUNTIME_DIR", state.parent)
        self._client = _Entry(FileStore(state), CLIENT, where)
        self._session = _Entry(FileStore(runtime), SESSION, where)

    @property
    def secret(self) -> str | None:
        """Our client secret; None when cardctl is not paired with this daemon."""
        return self._client.load().get("client_secret")

    def remember_client(self, identifier: str, secret: str) -> None:
        """Remember a pairing."""
        self._client.save({"client_id": identifier, "client_secret": secret})

    @property
    def session(self) -> tuple[str, str] | None:
        """Identifier and token of the session that was opened last; None when there is none."""
        found = self._session.load()
        return (found["id"], found["token"]) if {"id", "token"} <= found.keys() else None

    def open_session(self) -> tuple[str, str]:
        """Return identifier and token of that session. Raises SessionUnknown when there is none."""
        found = self.session
        if found is None:
            raise SessionUnknown
        return found

    def remember_session(self, identifier: str, token: str) -> None:
        """Remember a session, in place of the one before."""
        self._session.save({"id": identifier, "token": token})

    def forget_session(self) -> None:
        """Forget the session."""
        self._session.save(None)


class _Entry:
    """What one file says of one daemon."""

    def __init__(self, store: FileStore, name: str, where: str) -> None:
        self._store = store
        self._name = name
        self._where = where

    def load(self) -> dict[str, str]:
        """Return the entry; empty when there is none."""
        return self._document().get(self._where, {})

    def save(self, entry: dict[str, str] | None) -> None:
        """Replace or remove the entry; those of other daemons stay."""
        document = self._document()
        document.pop(self._where, None)
        if entry is not None:
            document[self._where] = entry
        self._store.save(self._name, json.dumps(document, indent=1))

    def _document(self) -> dict[str, dict[str, str]]:
        try:
            kept = json.loads(self._store.load(self._name) or "{}")
        except (ValueError, RecursionError):  # edited by hand, and wrongly: as if there were none
            return {}
        return {name: entry for name, entry in kept.items() if _is_entry(entry)} if isinstance(kept, dict) else {}


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(value, str) for value in entry.values())


def _directory(variable: str, otherwise: Path) -> Path:
    given = os.environ.get(variable, "")
    return (Path(given) if given.startswith("/") else otherwise) / "cardd"
