"""One card or token in its reader, and what is known against it before anybody asks it anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cardd.core.card_access import CardAccess
from cardd.errors import CardContactless, CardError, CardIsVitale, CardMute, CardUnsupported
from cardd.model import CardKind
from cardd.values import Value

Problems = Mapping[CardKind, Callable[[], CardError]]
UNREADABLE: Problems = {
    CardKind.VITALE: CardIsVitale,
    CardKind.CPS2TER: partial(CardUnsupported, kind=CardKind.CPS2TER.value.upper()),
}
SESSIONLESS: Problems = {**UNREADABLE, CardKind.CPS3_CONTACTLESS: CardContactless}


class InsertedCard(Value):
    """One card or token from its insertion to its removal; ``slot`` is the PC/SC reader that a token sits in.

    ``user`` is the OS user whose alone the reader is: one that their session's agent lends.
    """

    id: str
    reader: str
    atr: bytes
    kind: CardKind
    access: CardAccess

    slot: str = ""
    user: int | None = None

    @property
    def is_mute(self) -> bool:
        """Whether the card gave no answer to its reset."""
        return self.kind is CardKind.UNKNOWN and not self.atr

    @property
    def is_token(self) -> bool:
        """Whether this is no card of a PC/SC reader's, but what a module or a file shows."""
        return self.kind in (CardKind.PKCS11, CardKind.PKCS12)

    @property
    def problem(self) -> CardError | None:
        """Why no session can be opened with the card; None when nothing is known against it."""
        return self._found_in(SESSIONLESS)

    @property
    def is_served_natively(self) -> bool:
        """Whether a driver of cardd's own opens sessions with the card, as far as its ATR tells."""
        return bool(self.atr) and self.kind is not CardKind.UNKNOWN and self.problem is None

    @property
    def is_left(self) -> bool:
        """Whether modules may look at the card: one that no driver of ours serves, and is no patient's."""
        is_in_our_reader = not self.is_token and self.user is None
        return is_in_our_reader and not self.is_served_natively and self.kind is not CardKind.VITALE

    @property
    def unreadable(self) -> CardError | None:
        """Why nothing can be read from the card, not even which it is."""
        return self._found_in(UNREADABLE)

    def _found_in(self, problems: Problems) -> CardError | None:
        if self.is_mute:
            return CardMute()
        return problems[self.kind]() if self.kind in problems else None
