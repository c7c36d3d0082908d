"""What ``login`` needs of a way to Pro Santé Connect, whoever holds the service's credentials."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from cardd.core.sessions import Pending
from cardd.errors import PscOtherPerson, PscSessionOver, PscUserinfoSubject
from cardd.model import Identity, Situation
from cardd.secret import Secret

METHOD = "ecps"
Keep = Callable[[Secret], Awaitable[object]]

FINAL = (PscSessionOver, PscOtherPerson, PscUserinfoSubject)  # a login ends by these; everything else may pass
PAUSE_FIRST, PAUSE_MAX = 1.0, 30.0  # seconds between two attempts to go on with a login while the provider is away


class Flow(StrEnum):
    """Where the person agrees: on the mobile (CIBA), or on PSC's page in the browser (authorization code)."""

    MOBILE = "mobile"
    BROWSER = "browser"


class Channel(StrEnum):
    """PSC's own parameter of a login by mobile. On Linux nobody serves CARD."""

    CARD = "card"
    MOBILE = "mobile"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The login that is asked for; ``login_hint``, the national id, may be left out with the browser."""

    login_hint: str | None
    flow: Flow = Flow.MOBILE
    channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class HandedToken:
    """A token for a client whose pairing was approved for it. ``kind`` is ``Bearer``, or the name of a cookie."""

    token: str
    kind: str
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"<HandedToken {self.kind}>"


@dataclass(frozen=True, slots=True)
class Reach:
    """How the other side was found: whether it logs in by mobile, and by how many seconds its clock is ahead of ours.

    ``ahead`` is None where it does not tell the time.
    """

    mobile: bool
    ahead: float | None


class OpenLogin(Protocol):
    """A login that succeeded."""

    @property
    def identity(self) -> Identity:
        """Who it is, as far as one situation of practice tells, or none."""
        ...

    @property
    def situations(self) -> tuple[Situation, ...]:
        """The person's situations of practice."""
        ...

    @property
    def means(self) -> str | None:
        """PSC's ``authMode``: how the person logged in there; None where it does not say."""
        ...

    async def stay(self, keep: Keep) -> None:
        """Keep it alive; returns when the provider has ended it. ``keep`` is given what a restart resumes it with."""
        ...

    async def token(self, api: str | None) -> HandedToken:
        """A token that is good for some time still, for this configured API or for PSC itself.

        Raises PscApiUnknown, PscSessionOver, and what asking the provider raises.
        """
        ...

    async def log_out(self) -> None:
        """End it at the provider. Raises what asking the provider raises."""
        ...


class Waiting(Protocol):
    """A login that waits for the person."""

    @property
    def pending(self) -> Pending:
        """What the person is to be shown."""
        ...

    async def finish(self) -> OpenLogin:
        """Wait for the person, once. Raises the PSC errors; stops at once when it is cancelled."""
        ...


class Way(Protocol):
    """One way to Pro Santé Connect."""

    async def begin(self, wanted: Wanted) -> Waiting:
        """Wake the mobile, or prepare the page. Raises PscFlowUnavailable, and what asking the provider raises."""
        ...

    async def resume(self, kept: Secret, national_id: str, keep: Keep) -> OpenLogin:
        """The login that the daemon before this one kept; ``keep`` is given what replaces it, before it is checked.

        Raises one of ``FINAL``, and what asking raises.
        """
        ...

    async def reach(self) -> Reach:
        """Look at the other side, now, without a login. Raises what asking it raises."""
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...
