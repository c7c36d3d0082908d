"""The configuration as people read it: the list of all keys, and what is wrong with a file, in French and English."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from cardd.config.kinds import declared, name_of
from cardd.config.settings import FAMILIES, SECTIONS
from cardd.errors import ConfigInvalid
from cardd.i18n import Domain
from cardd.values import Value

_ = Domain("config")


class KeyInfo(Value):
    """One key: its dotted name, what it takes, its default as TOML writes it, and its meaning.

    ``live`` says that a reload takes it.
    """

    name: str
    kind: str
    kind_fr: str
    default: str
    en: str
    fr: str
    live: bool


def keys() -> list[KeyInfo]:
    """Return all keys, in the order in which a file would have them."""
    sections = {title: kind for title, (_, kind) in SECTIONS.items()}
    sections |= {f"{family}.NAME": kind for family, kind in FAMILIES.items()}
    return [
        KeyInfo(
            f"{title}.{name}",
            name_of(key.type),
            name_of(key.type, "fr"),
            toml(key.default),
            key.meaning,
            _(key.meaning, "fr"),
            name in section.LIVE,
        )
        for title, section in sections.items()
        for name, key in declared(section).items()
    ]


def explain(error: ConfigInvalid, language: str) -> str:
    """Return one sentence: which file, which key, what is wrong; ``language`` is ``fr`` or ``en``."""
    expected = str(error.params.get("expected", ""))  # a kind of value, which has its word, or an example
    told = ConfigInvalid.received(**(error.params | {"expected": _(expected, language)}))
    reason = told.meant(language)["why"]
    colon = "\N{NARROW NO-BREAK SPACE}: " if language == "fr" else ": "
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
