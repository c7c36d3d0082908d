"""One key of the configuration: what it takes, and what it is for."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from cardd.config.values import Kind


@dataclass(frozen=True, slots=True)
class Key:
    """What stands behind one key: what it takes, and its meaning in English and French."""

    kind: Kind
    en: str
    fr: str


def declared(section: type) -> Mapping[str, tuple[Key, object]]:
    """The keys of one section in order, each with its declaration and its default."""
    return {
        entry.name: (section.__annotations__[entry.name].__metadata__[0], entry.default) for entry in fields(section)
    }
