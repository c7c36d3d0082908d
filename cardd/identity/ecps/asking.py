"""What the person is shown and asked on their own desktop in the course of a login through PSC."""

from __future__ import annotations

import contextlib
from datetime import datetime

from cardd.core.sessions import Pending, Session
from cardd.errors import ConsentError, PromptError
from cardd.model import Caller, Choice, Question
from cardd.ports import Prompter


class Desk:
    """Asks; a desktop where nobody can be asked is no reason to fail, the program shows the same."""

    def __init__(self, prompter: Prompter) -> None:
        self._prompter = prompter

    async def show(self, session: Session, pending: Pending, now: datetime) -> Choice:
        """The two digits, or that the browser waits: NO to end the login, AGAIN to have the push sent again."""
        topic = "ecps" if pending.binding_message else "ecps_browser"
        digits = {"digits": pending.binding_message} if pending.binding_message else {}
        params: dict[str, str | int] = {"client": session.caller.name, **digits}
        question = Question(
            topic,
            session.caller.peer.uid,
            params,
            third=Choice.AGAIN if pending.binding_message else None,
            timeout=max(1.0, (pending.expires_at - now).total_seconds()),
            caller=session.caller.id,
        )
        with contextlib.suppress(PromptError, ConsentError):
            return await self._prompter.confirm(question)
        return Choice.YES

    async def may_remember(self, caller: Caller, national_id: str) -> bool:
        """Whether the person's national id may be kept for the next login of this OS user."""
        params: dict[str, str | int] = {"client": caller.name, "national_id": national_id}
        with contextlib.suppress(PromptError, ConsentError):
            question = Question("remember_hint", caller.peer.uid, params, caller=caller.id)
            return await self._prompter.confirm(question) is Choice.YES
        return False
