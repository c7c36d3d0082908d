"""A keyring that writes what it keeps into a file as it is, as some do."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend


class PlainKeyring(KeyringBackend):
    """All secrets in one file of JSON, named by CARDD_TEST_KEYRING."""

    priority = -1  # type: ignore[assignment, unused-ignore] # never found, only chosen; a property in the library, a number in its manual

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def get_password(self, service: str, username: str) -> str | None:
        """Read the file."""
        held: dict[str, str] = json.loads(self._file.read_text()) if self._file.exists() else {}
        return held.get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        """Write the file."""
        self._file.write_text(json.dumps({f"{service}/{username}": password}))

    @property
    def _file(self) -> Path:
        return Path(os.environ["CARDD_TEST_KEYRING"])
