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
from cardd.model import Question
from cardd.values import replace

TAKEN_OVER = "taken_over"  # why a session ended


def telling(question: Question, others: AbstractSet[Session]) -> Question:
    """Return the question, which says that the PIN ends the sessions of others where there are any."""
    return replace(question, params={**question.params, "takes_over": ""}) if others else question


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

    def ensure_told(self, card: InsertedCard, uid: int, told: AbstractSet[Session]) -> None:
        """Raises CardInUse where others hold the card by more sessions than this user's person was told of."""
        if not self.of_others(card, uid) <= told:
            raise CardInUse

    def take(self, card: InsertedCard, uid: int) -> None:
        """End the sessions that others have open on this card: this user's person knows its PIN."""
        for session in self.of_others(card, uid):
            self._sessions.close(session, TAKEN_OVER)
