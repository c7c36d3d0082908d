"""Acts that came to nothing, in the audit log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from cardd.errors import AuditUnavailable, CarddError, ConsentError, PinError, StateUnavailable
from cardd.model import AuditEntry, Outcome
from cardd.ports import AuditLog


@asynccontextmanager
async def recorded(audit: AuditLog, *entries: AuditEntry) -> AsyncIterator[None]:
    """Give the acts inside a row each when they fail, or were refused by a person.

    When even that fails, the first error is the one to tell.
    """
    try:
        yield
    except CarddError as error:
        outcome = Outcome.REFUSED if isinstance(error, ConsentError | PinError) else Outcome.FAILED
        with contextlib.suppress(AuditUnavailable, StateUnavailable):
            for entry in entries:
                await audit.append(replace(entry, outcome=outcome, code=error.code))
        raise
