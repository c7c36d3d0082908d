"""Login with a CPx card: the PIN makes a session of the identity in the card's certificate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cardd.core.readers import InsertedCard
from cardd.core.sessions import Session
from cardd.errors import MethodUnavailable
from cardd.identity.card_login import CardLogin, Way
from cardd.identity.choice import CardChoice
from cardd.identity.cpx import identity_of
from cardd.model import Caller

METHOD = "cpx"


class CpxLogin:
    """Opens sessions with the professionals' cards; ``is_organisations`` tells the keys that stand for no person."""

    def __init__(
        self, login: CardLogin, choice: CardChoice, is_organisations: Callable[[InsertedCard], Awaitable[bool]]
    ) -> None:
        self._login = login
        self._choice = choice
        self._is_organisations = is_organisations

    async def open(self, caller: Caller, card_id: str | None) -> tuple[Session, str]:
        """Ask for the PIN and open a session; the token is given once.

        Raises what ``CardChoice.choose`` and ``CardLogin.open`` raise, MethodUnavailable for an organisation's keys.
        """

        async def choose() -> InsertedCard:
            card = await self._choice.choose(caller, card_id)
            if await self._is_organisations(card):
                raise MethodUnavailable(method=METHOD, why="organisation_s")
            return card

        return await self._login.open(caller, Way(METHOD, choose, identity_of))
