"""What values are made of: immutable ones, and records whose fields change.

Both are msgspec's Structs, for their price: Python's dataclasses are written as text and compiled while their module is
loaded, which was a third of the daemon's start, and one takes eight times as long to make. What these are called here
is all that the rules of the core know of msgspec.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, dataclass_transform

from msgspec import Struct, field
from msgspec.structs import replace

__all__ = ["Record", "Value", "asdict", "field", "replace"]


class _Shown:
    """What has fields, and shows them in logs and tracebacks but for those that are ``HIDDEN``."""

    __slots__ = ()
    __struct_fields__: ClassVar[tuple[str, ...]]
    HIDDEN: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        """Return the fields by name."""
        told = (f"{name}={getattr(self, name)!r}" for name in self.__struct_fields__ if name not in self.HIDDEN)
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Value(_Shown, Struct, frozen=True):
    """A value: nothing of it changes, and two with the same fields are the same."""


@dataclass_transform(field_specifiers=(field,))
class Record(_Shown, Struct):
    """Fields that belong together and change."""


def asdict(value: Struct) -> dict[str, Any]:
    """Return the fields by name, those of values inside too."""
    return {name: _inside(getattr(value, name)) for name in value.__struct_fields__}


def _inside(one: object) -> object:
    if isinstance(one, Struct):
        return asdict(one)
    if isinstance(one, Mapping):
        return {key: _inside(each) for key, each in one.items()}
    return [_inside(each) for each in one] if isinstance(one, list | tuple) else one
