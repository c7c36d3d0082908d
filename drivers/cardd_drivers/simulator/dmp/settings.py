"""What can be chosen of the sandbox, with ``cardctl simulate dmp --set NAME=VALUE``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cardd.errors import InvalidRequest

NAMES = ("port", "history", "rights", "authorities", "lifetime", "signature")
PORT, HISTORY_PORT = 18443, 18444
SIGNATURES = {"required": True, "optional": False}


@dataclass(frozen=True, slots=True)
class Settings:
    """``port`` and ``history``: where the DMP and the patient's page listen on loopback.

    ``rights``: the table's CSV file, None for the sample. ``authorities``: a PEM file of those whose certificates are
    let in beside the simulation's own. ``lifetime``: of a VIHF outside AIR, in seconds, None for no limit.
    ``wants_signature``: whether each submission set must be signed.
    """

    port: int = PORT
    history: int = HISTORY_PORT
    rights: Path | None = None
    authorities: Path | None = None
    lifetime: int | None = None
    wants_signature: bool = True


def settings_of(told: Mapping[str, str]) -> Settings:
    """The choices. Raises InvalidRequest for a name or a value that is not known."""
    if unknown := told.keys() - set(NAMES):
        raise InvalidRequest(where=", ".join(sorted(unknown)), why=", ".join(NAMES))
    signature = told.get("signature", "required")
    if signature not in SIGNATURES:
        raise InvalidRequest(where="signature", why=", ".join(SIGNATURES))
    return Settings(
        port=_number(told, "port", 65535) or PORT,
        history=_number(told, "history", 65535) or HISTORY_PORT,
        rights=_path(told, "rights"),
        authorities=_path(told, "authorities"),
        lifetime=_number(told, "lifetime", 86400),
        wants_signature=SIGNATURES[signature],
    )


def _number(told: Mapping[str, str], name: str, most: int) -> int | None:
    text = told.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and 0 < int(text) <= most):
        raise InvalidRequest(where=name, why=f"1-{most}")
    return int(text)


def _path(told: Mapping[str, str], name: str) -> Path | None:
    return Path(told[name]) if name in told else None
