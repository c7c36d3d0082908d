"""Whether anybody still waits for a login: a program that died must not leave a session to whoever agrees late."""

from __future__ import annotations

import asyncio

from cardd.core.events import EventBus
from cardd.core.sessions import Session
from cardd.ports import Clock

LEASE = 30.0  # seconds without a question about the session, and without a stream of events


async def abandoned(session: Session, events: EventBus, clock: Clock) -> None:
    """Return when the session's client neither asked about it nor listened for so long."""
    left = LEASE
    while left > 0:
        await asyncio.sleep(left)
        is_heard = events.is_heard_by(session.caller.id)
        left = LEASE if is_heard else session.used + LEASE - clock.monotonic()
