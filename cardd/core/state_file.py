"""A small JSON document that outlives the daemon, of one shape: what does not have it is told, never guessed at."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

from cardd.errors import StateDamaged
from cardd.ports import Store

T = TypeVar("T")


class StateFile(Generic[T]):
    """``shape`` is a dataclass, or a dict of what JSON knows and dataclasses; unknown fields are passed over."""

    def __init__(self, store: Store, name: str, shape: type[T]) -> None:
        self._store = store
        self._name = name
        self._decoder = msgspec.json.Decoder(shape)

    def load(self) -> T | None:
        """What was saved; None before that. Raises StateUnavailable, StateDamaged."""
        text = self._store.load(self._name)
        if text is None:
            return None
        try:
            return self._decoder.decode(text)
        except msgspec.DecodeError as error:
            raise StateDamaged(file=self._store.place(self._name), why=str(error)) from error

    def save(self, content: T) -> None:
        """Replace it; it is on disk when this returns. Raises StateUnavailable."""
        self._store.save(self._name, msgspec.json.format(msgspec.json.encode(content), indent=1).decode())
