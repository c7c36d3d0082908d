"""Sessions that are opened without a card, what their programs and the other parts hear of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from cardd.config import SessionRules
from cardd.core.inserted_card import InsertedCard
from cardd.core.lifecycle import Part
from cardd.core.session import Pending, Session
from cardd.core.sessions import Sessions
from cardd.errors import (
    CarddError,
)
from cardd.model import Caller, CallerKey, Event
from cardd.secret import Secret
from tests.core.alone import HOLDER, Alone, program


@dataclass
class Noted(Part):
    """What the other parts hear of sessions, in order."""

    told: list[tuple[str, ...]] = field(default_factory=list)

    def session_opened(self, session: Session) -> None:
        self.told.append(("opened", session.id))

    def session_closed(self, session: Session, reason: str) -> None:
        self.told.append(("closed", session.id, reason))

    def session_locked(self, session: Session) -> None:
        self.told.append(("locked", session.id))

    def session_situated(self, session: Session) -> None:
        self.told.append(("situated", session.id))


class Opening(Alone):
    """The sessions, and who opens them."""

    def __init__(self) -> None:
        super().__init__()
        self.noted = Noted()
        self.lifecycle.join(self.noted)
        self.sessions = Sessions(self.clock, self.events, SessionRules(), self.lifecycle)
        self.heard_by = {uid: self.events.subscribe(CallerKey(uid, "lps")) for uid in (1000, 1001)}

    def opened(
        self,
        identifier: str = "session",
        caller: Caller | None = None,
        card: InsertedCard | None = None,
        *,
        pending: bool = False,
        pin: bool = True,
    ) -> tuple[Session, str]:
        """Open a session that holds a PIN, or one that waits for its person for five minutes."""
        waits = Pending(self.clock.now() + timedelta(minutes=5), binding_message="42") if pending else None
        session, token = self.sessions.open(
            session_id=identifier,
            caller=caller or program(),
            method="card",
            identity=HOLDER,
            card=card,
            credentials={},
            pending=waits,
        )
        if pin and not pending:
            session.take_pin(Secret.of(b"7319"))
        return session, token

    async def events_of(self, uid: int = 1000) -> list[Event]:
        """Return what the program of this user was told since the last time."""
        self.events.publish(Event("end", to=CallerKey(uid, "lps")))
        found = []
        while (event := await self.heard_by[uid].next()) and event.type != "end":
            found.append(event)
        return found

    def why_not(self, token: str, **more: bool) -> CarddError:
        """Return why the token's session does not answer."""
        with pytest.raises(CarddError) as told:
            self.sessions.authenticate(token, "lps", 1000, **more)
        return told.value

    def taken(self) -> list[tuple[str, ...]]:
        told, self.noted.told = self.noted.told, []
        return told
