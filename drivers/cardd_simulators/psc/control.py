"""The file by which ``cardctl simulate psc approve`` finds the sandbox that runs, and may give it orders."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "control.json"


@dataclass(frozen=True, slots=True)
class Control:
    """Where it listens, and what proves that whoever gives an order may read the file."""

    port: int
    token: str


def keep(folder: Path, control: Control) -> None:
    """For this user's command, and for nobody else. Raises OSError."""
    with os.fdopen(os.open(folder / NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(control), file)


def find(folder: Path) -> Control | None:
    """None where none runs."""
    try:
        return Control(**json.loads((folder / NAME).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def forget(folder: Path) -> None:
    """It runs no more."""
    (folder / NAME).unlink(missing_ok=True)
