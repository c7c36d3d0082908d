"""The configuration as people read it: the list of all keys, and what is wrong with a file, in French and English."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cardd.config.kinds import Why, declared, name_of
from cardd.config.settings import FAMILIES, SECTIONS
from cardd.errors import ConfigInvalid
from cardd.i18n import Domain

REASONS: Mapping[Why, tuple[str, str]] = {
    "unknown": (
        "unknown key; the nearest one is {expected}",
        "clé inconnue ; la plus proche est {expected}",
    ),
    "type": ("wrong type; expected: {expected}", "type incorrect ; attendu : {expected}"),
    "range": ("out of range; allowed: {expected}", "hors limites ; permis : {expected}"),
    "duration": ("not a duration; examples: {expected}", "ce n’est pas une durée ; exemples : {expected}"),
    "choice": ("not one of {expected}", "ne fait pas partie de {expected}"),
    "path": ("not an absolute path ({expected})", "ce n’est pas un chemin absolu ({expected})"),
    "https": ("not an https address ({expected})", "ce n’est pas une adresse https ({expected})"),
    "http": ("not an http or https address ({expected})", "ce n’est pas une adresse http ou https ({expected})"),
    "host": ("not the name of a host ({expected})", "ce n’est pas un nom d’hôte ({expected})"),
    "loopback": (
        "cardd listens on this machine's own addresses only: {expected}",
        "cardd n’écoute que sur les adresses de la machine elle-même : {expected}",
    ),
    "origin": (
        "not an origin as browsers send it: {expected}",
        "ce n’est pas une origine telle que les navigateurs l’envoient : {expected}",
    ),
    "insecure_origin": (
        "{expected} is not https; for development, set web.allow_insecure_origins = true",
        "{expected} n’est pas en https ; pour le développement, mettez web.allow_insecure_origins = true",
    ),
    "missing": ("a key that must be there; expected: {expected}", "une clé obligatoire manque ; attendu : {expected}"),
    "forging": (
        "{expected} tells a server who asks, or belongs to the connection: it is never passed on",
        "{expected} dit à un serveur qui demande, ou tient à la connexion : il n’est jamais transmis",
    ),
    "same_path": ("two sockets have the path {expected}", "deux sockets ont le chemin {expected}"),
    "unreadable": ("the file cannot be read: {expected}", "le fichier est illisible : {expected}"),
    "toml": ("the file is not TOML: {expected}", "le fichier n’est pas du TOML : {expected}"),
    "inherited": (
        "the socket that systemd passed is not one of cardd's: {expected}",
        "la socket transmise par systemd n’est pas l’une de celles de cardd : {expected}",
    ),
}


_ = Domain("config")


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """One key: its dotted name, what it takes, its default as TOML writes it, and its meaning."""

    name: str
    kind: str
    default: str
    en: str
    fr: str


def keys() -> list[KeyInfo]:
    """Return all keys, in the order in which a file would have them."""
    sections = {title: kind for title, (_, kind) in SECTIONS.items()}
    sections |= {f"{family}.NAME": kind for family, kind in FAMILIES.items()}
    return [
        KeyInfo(f"{title}.{name}", name_of(key.type), toml(key.default), key.meaning, _(key.meaning, "fr"))
        for title, section in sections.items()
        for name, key in declared(section).items()
    ]


def explain(error: ConfigInvalid, language: str) -> str:
    """Return one sentence: which file, which key, what is wrong; ``language`` is ``fr`` or ``en``."""
    english, french = REASONS[cast(Why, error.params["why"])]
    reason = (french if language == "fr" else english).format(expected=error.params["expected"])
    colon = "\N{NO-BREAK SPACE}: " if language == "fr" else ": "
    return colon.join(str(part) for part in (error.params["file"], error.params["key"], reason) if part)


def toml(value: object) -> str:
    """Return a value as TOML writes it; strings, numbers and booleans look the same in JSON."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(str(value or "") if value is None or isinstance(value, Path) else value, ensure_ascii=False)
