"""Pro Santé Connect as a login sees it: what its two providers offer, and the connection to the configured one.

``direct`` speaks OpenID Connect with PSC, ``proxy`` has the editor's server do so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from cardd.core.session import Pending
from cardd.errors import (
    PscOtherPerson,
    PscSessionOver,
    PscUserinfoSubject,
)
from cardd.model import Identity, Situation
from cardd.secret import Secret
from cardd.values import Value

if TYPE_CHECKING:
    from cardd.oidc.logout import LogoutNotice

METHOD = "ecps"
NO_KEYRING = "no_keyring"  # why a secret is missing
Keep = Callable[[Secret], Awaitable[object]]
Heard = Callable[["LogoutNotice"], None]

FINAL = (PscSessionOver, PscOtherPerson, PscUserinfoSubject)  # a login ends by these; everything else may pass


class Flow(StrEnum):
    """Where the person agrees: on the mobile (CIBA), or on PSC's page in the browser (authorization code)."""

    MOBILE = "mobile"
    BROWSER = "browser"


class PscChannel(StrEnum):
    """PSC's own parameter of a login by mobile. On Linux nobody serves CARD."""

    CARD = "card"
    MOBILE = "mobile"


class Wanted(Value):
    """The login that is asked for; ``login_hint``, the national id, may be left out with the browser."""

    login_hint: str | None
    flow: Flow = Flow.MOBILE
    channel: PscChannel | None = None


class HandedToken(Value):
    """A token for a client whose pairing was approved for it. ``kind`` is ``Bearer``, or the name of a cookie."""

    token: str
    kind: str
    expires_at: datetime | None

    def __repr__(self) -> str:
        return f"<HandedToken {self.kind}>"


class Reach(Value):
    """How the other side was found: whether it logs in by mobile, and by how many seconds its clock is ahead of ours.

    ``ahead`` is None where it does not tell the time.
    """

    mobile: bool
    ahead: float | None


class ProofEnd(Value):
    """The certificate that this service proves itself with: whose it is, and until when it is good."""

    holder: str
    until: datetime


class PscLogin(Protocol):
    """A login that the person agreed to, at the provider. ``over`` is set once the provider ended it."""

    over: asyncio.Event
    asked_nobody: bool  # the other side had a session of this person, and woke no mobile

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

    def seconds_left(self) -> float | None:
        """Return for how long its token is good; None where there is nothing to renew here."""
        ...

    async def renew(self) -> None:
        """Have new tokens. Raises one of ``FINAL``, and what asking the provider raises."""
        ...

    def resumption_secret(self) -> Secret | None:
        """Return what the next daemon resumes it with; None where it cannot."""
        ...

    async def token(self, api: str | None) -> HandedToken:
        """Return a token for this configured API, or for PSC itself.

        Raises PscApiUnknown, and what asking the provider raises.
        """
        ...

    def heed(self, notice: LogoutNotice) -> None:
        """End it if it is the one that the provider says it ended."""
        ...

    async def log_out(self) -> None:
        """End it at the provider. Raises what asking the provider raises."""
        ...


class PscAttempt(Protocol):
    """One push, or one page, that the person has not answered yet."""

    @property
    def pending(self) -> Pending:
        """What the person is to be shown."""
        ...

    @property
    def unsent(self) -> bool:
        """Whether a push is known to have woken no mobile: whoever was to do it was not reached."""
        ...

    async def finish(self) -> PscLogin:
        """Wait for the person, once. Raises the PSC errors; stops at once when it is cancelled."""
        ...


class PscProvider(Protocol):
    """Pro Santé Connect, whoever holds the service's credentials."""

    async def begin(self, wanted: Wanted, uid: int) -> PscAttempt:
        """Wake the mobile, or prepare the page for this OS user's browser.

        Raises PscFlowUnavailable, and what asking the provider raises.
        """
        ...

    async def resume(self, secret: Secret, national_id: str, keep: Keep) -> PscLogin:
        """Return a login of the daemon before this one; ``keep`` is given the new secret, before anything is checked.

        Raises one of ``FINAL``, and what asking raises.
        """
        ...

    async def reach(self, *, proves: bool = True) -> Reach:
        """Look at the other side, now, without a login; with ``proves`` it judges this service too, and wakes nobody.

        Raises PscClientRefused, PscNoCiba, and what asking it raises.
        """
        ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


class Made(Value):
    """A provider with this service's credentials; ``proof`` is the certificate among them, if there is one."""

    provider: PscProvider
    proof: ProofEnd | None = None
