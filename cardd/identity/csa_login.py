"""Login with the organisation's certificate (CSA): the structure is proven, the person is as the software says."""

from __future__ import annotations

import contextlib
from functools import partial

from cardd.core.readers import InsertedCard, Readers
from cardd.core.sessions import Session
from cardd.errors import CarddError, MethodUnavailable, PcscUnavailable, SecretStoreUnavailable
from cardd.identity.card_login import CardLogin, Way
from cardd.identity.cpx import facts_of
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.organisation import acting_identity
from cardd.model import Caller, CardKind, Identity
from cardd.ports import SecretStore
from cardd.secret import Secret

METHOD = "csa"


class CsaLogin:
    """Opens sessions with the organisation's key files, or with its PKCS#11 token of the label ``token``."""

    def __init__(
        self, login: CardLogin, readers: Readers, secrets: SecretStore, expiry: ExpiryWatch, *, token: str | None
    ) -> None:
        self._login = login
        self._readers = readers
        self.password = StoredPassword(secrets)
        self._expiry = expiry
        self._token = token

    async def open(self, caller: Caller, acting: Identity) -> tuple[Session, str]:
        """Open a session for the person whom the software declares; the token is given once.

        The password comes from systemd's credential or the keyring's entry ``csa``, and is asked for otherwise. Raises
        MethodUnavailable when no organisation's certificate is configured, and what ``CardLogin.open`` raises.
        """
        way = Way(METHOD, self.card, partial(acting_identity, acting=acting), self.password)
        session, token = await self._login.open(caller, way)
        self._expiry.note({each.serial: facts_of(each.certificate).not_after for each in session.credentials.values()})
        return session, token

    async def card(self) -> InsertedCard:
        """The organisation's keys. Raises MethodUnavailable."""
        with contextlib.suppress(PcscUnavailable):  # which the organisation's keys do not need
            for card in self._readers.cards():
                if await self.owns(card):
                    return card
        raise MethodUnavailable(method=METHOD, why="no_organisation")

    async def owns(self, card: InsertedCard) -> bool:
        """Whether these keys are the organisation's."""
        if self._token is None or card.kind is not CardKind.PKCS11:
            return card.kind is CardKind.PKCS12
        with contextlib.suppress(CarddError):
            return (await card.access.info()).label == self._token
        return False


class StoredPassword:
    """``StoredPin`` from the OS's secrets."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets
        self._was_refused = False

    async def get(self) -> Secret | None:
        """The password; None where nothing keeps it, or what does was wrong."""
        if not self._was_refused:
            with contextlib.suppress(SecretStoreUnavailable):
                return await self._secrets.get(METHOD)
        return None

    def refused(self) -> None:
        """It was wrong: it is not tried again."""
        self._was_refused = True
