"""A small JSON document that outlives the daemon, of one shape: what does not have it is told, never guessed at.

A document has a format number, ``"format"``, which grows when its shape does. An older one is brought forward step by
step as it is read, and written in the new format when it is next saved; until then the file stays as it was. A newer
one is refused and left alone. cardd 0.1.0 wrote the content without a number: that is format 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from cardd.errors import StateDamaged, StateTooNew
from cardd.ports import Store

T = TypeVar("T")
Content = dict[str, Any]
Step = Callable[[Content], Content]

FORMAT = "format"
_PLACE = re.compile(r"at `([^`]+)`\Z")  # where msgspec found what it complains of
ENTRIES = "entries"  # where the content stands whose keys are not ours, so that none of them can be "format"


class StateFile(Generic[T]):
    """``shape`` is a value's type, or a dict of what JSON knows and values; unknown fields are passed over.

    ``steps`` bring the content of format 1 to 2, of 2 to 3, and so on. A field that an older cardd may not lose needs a
    step, even one that changes nothing: the number is what keeps that cardd from writing the file.
    """

    def __init__(self, store: Store, name: str, shape: type[T], steps: Sequence[Step] = ()) -> None:
        self._store = store
        self._name = name
        self._shape = shape
        self._steps = steps
        self._is_dict = getattr(shape, "__origin__", shape) is dict

    def load(self) -> T | None:
        """Return what was saved; None before that. Raises StateUnavailable, StateDamaged, StateTooNew."""
        text = self._store.load(self._name)
        if text is None:
            return None
        try:
            return msgspec.convert(self._current(msgspec.json.decode(text, type=Content)), self._shape)
        except (msgspec.DecodeError, RecursionError, LookupError, TypeError, ValueError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StateDamaged:
        """Return what is told of the file; msgspec's own sentence, in English, stays the error's cause."""
        file, complaint = self._store.place(self._name), str(error)
        if found := _PLACE.search(complaint):
            return StateDamaged(file=file, why="entry", place=found[1])
        is_shape = isinstance(error, msgspec.ValidationError) or not isinstance(error, msgspec.DecodeError)
        return StateDamaged(file=file, why="shape" if is_shape else "json")

    def save(self, content: T) -> None:
        """Replace it; it is on disk when this returns. Raises StateUnavailable."""
        told: Content = msgspec.to_builtins(content)
        document = {FORMAT: self._format, **({ENTRIES: told} if self._is_dict else told)}
        self._store.save(self._name, msgspec.json.format(msgspec.json.encode(document), indent=1).decode())

    @property
    def _format(self) -> int:
        return 1 + len(self._steps)

    def _current(self, document: Content) -> object:
        """Return the content in the format of this cardd."""
        number = document.pop(FORMAT, 0)
        if not isinstance(number, int) or number < 0:
            raise msgspec.ValidationError(f"{FORMAT}: {number!r}")
        if number > self._format:
            raise StateTooNew(file=self._store.place(self._name), format=number, known=self._format)
        content = document.get(ENTRIES) if number and self._is_dict else document
        if not isinstance(content, dict):
            raise msgspec.ValidationError(f"{ENTRIES}: {type(content).__name__}")
        for step in self._steps[max(number, 1) - 1 :]:
            content = step(content)
        return content
