"""One way to tell that something is not what it should be, whatever a decoder says of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import DecodeError

from cardd.errors import CarddError

# asn1crypto decodes what is asked for when it is asked for: what it finds missing or of another type is told by any
UNREADABLE = (
    DecodeError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError,
)  # fmt: skip


@contextmanager
def reading(refusal: CarddError, *others: type[CarddError]) -> Iterator[None]:
    """Raise ``refusal`` for whatever cannot be read inside, and in place of ``others``."""
    faults: tuple[type[Exception], ...] = (*UNREADABLE, *others)
    try:
        yield
    except faults as fault:
        raise refusal from fault
