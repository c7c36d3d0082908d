"""Who holds a card: the OS user whose sessions are open on it. Another user takes it over with its PIN, and only so.

What would be taken over is looked at before the PIN's dialog, which tells of it, and compared when the session is to be
opened: whoever came to hold the card meanwhile, unknown to that dialog, is not driven out.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from cardd.core.inserted_card import InsertedCard
from cardd.core.session import Session
from cardd.core.sessions import Sessions
from cardd.errors import CardInUse

TAKEN_OVER = "taken_over"  # why a session ended


class Leases:
    """Tells and changes who holds a card; ``personal`` names the login methods whose card serves one user at a time."""

    def __init__(self, sessions: Sessions, personal: tuple[str, ...]) -> None:
        self._sessions = sessions
        self._personal = personal

    def of_others(self, card: InsertedCard, uid: int) -> frozenset[Session]:
        """Return the sessions that other users have open on this card."""
        return frozenset(
            session
            for session in self._sessions.every()
            if session.card is card and session.caller.peer.uid != uid and session.method in self._personal
        )

    def take(self, card: InsertedCard, uid: int, told: AbstractSet[Session]) -> None:
        """End the sessions of others that this user's person was told of. Raises CardInUse where there are more."""
        others = self.of_others(card, uid)
        if not others <= told:
            raise CardInUse
        for session in others:
            self._sessions.close(session, TAKEN_OVER)
