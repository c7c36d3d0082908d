"""A computer that gives no thread: each would have a stack that is larger than what there is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

TOO_LARGE = 1 << 47  # bytes, as many as a process can have addresses


@contextmanager
def no_thread() -> Iterator[None]:
    """Have no thread begin inside; those that run go on."""
    before = threading.stack_size(TOO_LARGE)
    try:
        yield
    finally:
        threading.stack_size(before)
