"""Sites whose pages ask to be let in, without a connection and a browser, and the person who decides."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import pytest

from cardd.config import Config, Web
from cardd.core.origins import Entered, Origins
from cardd.core.register import Register
from cardd.errors import (
    CarddError,
)
from cardd.model import Caller, CallerKey, CallerKind, Choice, Peer, Right
from cardd.values import replace
from tests.core.alone import Alone

LISTED, SITE, OTHER_SITE = "https://listed.example", "https://site.example", "https://autre.example"
ME = Peer(1000)
DETECT, HOLDER, LOGIN, SIGN = Right.DETECT, Right.HOLDER, Right.AUTHENTICATE, Right.SIGN
ALL = [right.value for right in Right]


def page(site: str = SITE, key: str = "key", uid: int = 1000) -> Caller:
    return Caller(CallerKind.ORIGIN, site, site, site, Peer(uid), page_key=key)


def owner(site: str = SITE, uid: int = 1000) -> CallerKey:
    return CallerKey(uid, site)


class Sites(Alone):
    """The sites, one of which is listed, and a person who decides about the others."""

    def __init__(self) -> None:
        super().__init__()
        self.web = Web(allowed_origins=(LISTED,), unknown_origins="ask", remember_days=30)
        self.origins = self.daemon()

    def daemon(self) -> Origins:
        """Return the sites as the next daemon knows them."""
        listed = Config(web=self.web).listed_origins
        return Origins(Register(self.store), self.dialogs, self.clock, self.lifecycle, self.web, listed=listed)

    async def enter(
        self, one: Caller, wanted: Collection[str] | None = None, choice: Choice = Choice.YES, *, asks: bool = True
    ) -> Entered:
        self.person.choice = choice
        return await self.origins.enter(one, wanted, asks=asks)

    async def refused(
        self, one: Caller, wanted: Collection[str] | None = None, *, asks: bool = True
    ) -> type[CarddError]:
        """Return why the page is not let in where the person says no."""
        with pytest.raises(CarddError) as told:
            await self.enter(one, wanted, Choice.NO, asks=asks)
        return type(told.value)

    @property
    def asked(self) -> int:
        """How many dialogs there were since the last time."""
        count = len(self.person.questions)
        self.person.questions.clear()
        return count

    def may(self, one: Caller) -> set[Right]:
        """Return what the page may do."""
        return {right for right in Right if self.origins.may(one, right)}

    def later(self, **time: float) -> None:
        self.clock.seconds += timedelta(**time).total_seconds()

    def set(self, **web: object) -> None:
        """Configure them anew; no site is listed unless it is said here."""
        self.origins.reconfigured(Config(web=replace(self.web, **{"allowed_origins": (), **web})))
