"""One session: who opened it, whom it stands for, the card and the PIN behind it, and where it is in its life."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from cardd.core.inserted_card import InsertedCard
from cardd.errors import (
    SituationUnknown,
)
from cardd.model import Caller, Identity, KeyPurpose, KeyRef, Situation
from cardd.secret import Secret
from cardd.values import Record, Value


class SessionState(StrEnum):
    """``locked``: the PIN is asked again before the next use of the card; ``pending``: the person has not agreed."""

    PENDING = "pending"
    ACTIVE = "active"
    LOCKED = "locked"


class Credential(Value):
    """One key with its certificate: DER, and serial number in hex as the audit log names it."""

    key: KeyRef
    certificate: bytes
    serial: str
    chain: tuple[bytes, ...] = ()


class Pending(Value):
    """What a login waits with, and until when: the two digits to compare on the mobile, or the page to open.

    ``start_url`` leads the OS user's own browser to that page, and may stand on a command line.
    With neither the person has agreed: a dialog asks as what they practise, or PSC has yet to confirm to a new daemon.
    """

    HIDDEN = frozenset({"authorization_url"})

    expires_at: datetime
    binding_message: str | None = None
    authorization_url: str | None = None
    start_url: str | None = None


class Session(Record, eq=False):
    """One open session, or one that waits for the mobile (``pending``).

    ``pin`` is there in "hold" mode while the session is active; ``card`` is None where no card or token is behind it.
    ``situation`` is the one of the person's ``situations`` that was picked, and the only one where there is one.
    ``opens_locked`` tells that the screen was locked while it waited, and still is.
    """

    id: str
    token: str
    caller: Caller
    method: str
    identity: Identity
    card: InsertedCard | None
    credentials: dict[KeyPurpose, Credential]
    opened_at: datetime
    started: float
    used: float
    pending: Pending | None = None
    situations: tuple[Situation, ...] = ()
    situation: Situation | None = None
    pin: Secret | None = None
    state: SessionState = SessionState.ACTIVE
    opens_locked: bool = False

    @property
    def holder(self) -> str:
        """Return what another session has in common with this one when the same key signs for the same person.

        Where no key signs, nothing is in common with any other.
        """
        credential = self.credentials.get(KeyPurpose.SIGNATURE)
        if credential is None:
            return self.id
        return f"{sha256(credential.certificate).hexdigest()} {self.identity.national_id}"

    def situation_named(self, identifier: str | None) -> Situation:
        """Return one of the person's situations. Raises SituationUnknown."""
        found = next((one for one in self.situations if one.id == identifier), None)
        if found is None:
            raise SituationUnknown(known=", ".join(one.id for one in self.situations))
        return found

    def situate(self, situation: Situation | None) -> None:
        """Have the person act in this situation from now on."""
        self.situation = situation
        if situation is not None:
            self.identity = situation.applied_to(self.identity)

    def take_pin(self, pin: Secret | None) -> None:
        """Keep the PIN for later operations; the session is unlocked."""
        self.forget_pin()
        self.pin = pin
        self.state = SessionState.ACTIVE

    def forget_pin(self) -> None:
        """Wipe the PIN, if there is one."""
        if self.pin is not None:
            self.pin.wipe()
            self.pin = None

    def lock(self) -> None:
        """Forget the PIN; the next operation asks for it."""
        self.forget_pin()
        self.state = SessionState.LOCKED
