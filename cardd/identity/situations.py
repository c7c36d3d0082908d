"""Where and as what a person practises: read from the card, then picked by the program or by the person.

A person with several situations chooses which one a session speaks in (EX_GEN-1370). A situation comes from the card or
from Pro Santé Connect, never from the practice software.
"""

from __future__ import annotations

import contextlib
from itertools import cycle

from cardd.core.dialog_lines import DialogLines
from cardd.core.lifecycle import Part
from cardd.core.session import Session
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.errors import ConsentRefused, PromptError
from cardd.model import Caller, Choice, Question, Situation

ASK = "ask"  # in the place of a situation's identifier


class Situations(Part):
    """The situations of sessions opened with a card; those of e-CPS sessions came with their login."""

    def __init__(self, signing: Signing, sessions: Sessions, dialogs: DialogLines) -> None:
        self._signing = signing
        self._sessions = sessions
        self._dialogs = dialogs
        self._read: set[str] = set()

    async def read(self, session: Session) -> None:
        """Put the card's situations into the session, the only one picked. Raises the errors of PIN and card."""
        if session.card is None or session.situations or session.id in self._read:
            return
        session.situations = await self._signing.read(session, lambda card: card.situations())
        self._read.add(session.id)
        if len(session.situations) == 1:
            self._sessions.situate(session, session.situations[0].id)

    async def pick(self, session: Session, wanted: str) -> None:
        """Pick the situation of this identifier, or for ``ask`` the one that the person takes.

        Raises SituationUnknown, ConsentRefused, ConsentTimeout, and what ``read`` raises.
        """
        await self.read(session)
        if wanted != ASK:
            self._sessions.situate(session, wanted)
        elif session.situation is None:
            picked = await picked_by(self._dialogs, session.caller, session.situations)
            if picked is not None:
                self._sessions.situate(session, picked.id)

    def session_closed(self, session: Session, _reason: str) -> None:
        """Forget that the session's card was read."""
        self._read.discard(session.id)


async def picked_by(dialogs: DialogLines, caller: Caller, situations: tuple[Situation, ...]) -> Situation | None:
    """Return the one that the person picks, one dialog after the other; None without a person or a situation.

    Raises ConsentRefused, ConsentTimeout.
    """
    with contextlib.suppress(PromptError):
        for situation in cycle(situations):
            params = _described(caller, situation)
            question = Question("situation", caller.peer.uid, params, third=Choice.ANOTHER, caller=caller.key)
            match await dialogs.confirm(question):
                case Choice.NO:
                    raise ConsentRefused
                case Choice.ANOTHER:
                    continue
                case _:
                    return situation
    return None


def _described(caller: Caller, situation: Situation) -> dict[str, str | int]:
    given: dict[str, str | None] = {
        "profession": situation.profession,
        "specialty": situation.specialty,
        "sector": (situation.sector or "").partition("^")[0],
        "structure": situation.structure_name or situation.structure or situation.finess,
    }
    return {"client": caller.name, **{name: value or "–" for name, value in given.items()}}
