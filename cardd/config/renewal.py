"""What a reload takes of a new configuration: the keys that may change while cardd runs; the rest wants a restart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from cardd.config.kinds import Section, declared
from cardd.config.settings import FAMILIES, SECTIONS, Config
from cardd.values import Value


class Renewed(Value):
    """The settings that hold from now on, the names of those that changed, and of those that wait for a restart."""

    config: Config
    changed: tuple[str, ...]
    waiting: tuple[str, ...]


def renewed(before: Config, wanted: Config) -> Renewed:
    """Return the settings of ``before`` with those of ``wanted`` that may change while cardd runs."""
    parts: dict[str, Any] = {}
    changed: list[str] = []
    waiting: list[str] = []
    for title, (name, kind) in SECTIONS.items():
        section, new = getattr(before, name), getattr(wanted, name)
        differing = [key for key in kind.__struct_fields__ if getattr(section, key) != getattr(new, key)]
        live = [key for key in differing if key in kind.LIVE]
        parts[name] = replace(section, **{key: getattr(new, key) for key in live}) if live else section
        changed += [f"{title}.{key}" for key in live]
        waiting += [f"{title}.{key}" for key in differing if key not in kind.LIVE]
    for family, kind in FAMILIES.items():
        sections, new = getattr(before, family), getattr(wanted, family)
        is_live = set(declared(kind)) <= kind.LIVE
        parts[family] = new if is_live else sections
        (changed if is_live else waiting).extend(f"{family}.{name}" for name in _differing(sections, new))
    return Renewed(Config(**parts), tuple(changed), tuple(waiting))


def _differing(before: Mapping[str, Section], now: Mapping[str, Section]) -> list[str]:
    return sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
