"""A program's uses of a card's keys: whether it may, its login, the signature; and what PKCS#11 calls each failure.

The authentication key signs what the program made, for a program that the person let in. The signature key signs only
what a consent shows, each time: a digest of nobody here knows what.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cardd.core.consents import SignatureRequest
from cardd.core.dialog_lines import asking_only_who_is_there
from cardd.core.inserted_card import InsertedCard
from cardd.core.presence import Presence
from cardd.core.programs import ProgramRight, Wanted, program_id, unseen_id
from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    CardAbsent,
    CarddError,
    CardError,
    CardRefused,
    CardRemoved,
    CardUnknown,
    ClientError,
    ConsentError,
    LastTryRefused,
    PinBlocked,
    PinCancelled,
    PinError,
    PinFormat,
    PinRequired,
    PinTimeout,
    PinWrong,
    ReaderError,
    ReaderGone,
    ReaderNotYours,
    SessionError,
)
from cardd.model import Caller, KeyPurpose, KeyRef, Message, shown
from cardd.p11.cryptoki import Mechanism, Refused, Rv
from cardd.p11.logins import Keys
from cardd.p11.mechanisms import SHA256, Seen, ToSign
from cardd.ports import ProgramFile
from cardd.values import replace

if TYPE_CHECKING:
    from cardd.core.session import Session

DOCUMENT = "PKCS#11"  # what a person is told of a digest whose document nobody named
RIGHTS = {Seen.HANDSHAKE: ProgramRight.TLS, Seen.DIGEST: ProgramRight.TLS, Seen.DATA: ProgramRight.DATA}

# the first that fits; all else is CKR_FUNCTION_FAILED
ANSWERS: tuple[tuple[type[CarddError] | tuple[type[CarddError], ...], Rv], ...] = (
    (PinBlocked, Rv.PIN_LOCKED),
    ((PinWrong, PinFormat, LastTryRefused), Rv.PIN_INCORRECT),
    ((PinCancelled, PinTimeout), Rv.FUNCTION_CANCELED),
    ((ConsentError, ClientError), Rv.FUNCTION_REJECTED),
    (PinError, Rv.FUNCTION_FAILED),
    (ReaderNotYours, Rv.TOKEN_NOT_PRESENT),
    (AlgorithmUnsupported, Rv.MECHANISM_INVALID),
    ((CardRemoved, CardAbsent, CardUnknown, ReaderGone), Rv.DEVICE_REMOVED),
    (PinRequired, Rv.USER_NOT_LOGGED_IN),
    ((CardError, ReaderError), Rv.DEVICE_ERROR),
    (SessionError, Rv.USER_NOT_LOGGED_IN),
)


class ProgramUses:
    """The uses of one connection; ``presence`` is the program that waits."""

    def __init__(self, every: Keys, program: Caller, presence: Presence) -> None:
        self._every = every
        self._program = program
        self._presence = presence
        self._file: ProgramFile | None = None
        self._logged_in: list[InsertedCard] = []

    async def log_in(self, card: InsertedCard) -> None:
        """Ask for the PIN, where the program has no login with this card. Raises Refused."""
        with told():
            self._every.programs.ensure_served()
            program = await self._known()
            if self._every.programs.is_let_in(program):
                await self._session(program, card)
            else:
                await self._admitted(program, card, Wanted(ProgramRight.TLS))
        if card not in self._logged_in and not self._presence.is_left:
            self._logged_in.append(card)
            self._every.logins.join(program, card)

    def log_out(self, card: InsertedCard) -> None:
        """End the login, where no other connection of the program has logged in. Raises Refused."""
        if card not in self._logged_in:
            raise Refused(Rv.USER_NOT_LOGGED_IN)
        self._logged_in.remove(card)
        self._every.logins.leave(self._program, card, ends=True)

    def is_logged_in(self, card: InsertedCard) -> bool:
        """Return whether this connection has logged in, and the login lives."""
        return card in self._logged_in and self._every.logins.is_open(self._program, card)

    def forget(self, card: InsertedCard) -> None:
        """Give up this connection's part in a login, which lives on for the program's other processes and next ones."""
        if card in self._logged_in:
            self._logged_in.remove(card)
            self._every.logins.leave(self._program, card, ends=False)

    def end(self) -> None:
        """Give up every part that the connection has."""
        for card in tuple(self._logged_in):
            self.forget(card)

    async def sign(self, card: InsertedCard, key: KeyRef, wanted: ToSign) -> bytes:
        """Return the key's signature. Raises Refused."""
        with told():
            program = await self._known()
            if key.purpose is KeyPurpose.SIGNATURE:
                if wanted.hash != SHA256:
                    raise Refused(Rv.MECHANISM_INVALID)
                session = await self._admitted(program, card, Wanted(ProgramRight.SIGN))
                by = wanted.mechanism.shown
                request = SignatureRequest(
                    wanted.algorithm, Message(wanted.digest), DOCUMENT, is_seen=False, mechanism=by
                )
                [signed] = await self._every.signing.sign(session, [request], None)
                return signed.signature
            use = Wanted(RIGHTS[wanted.seen], wanted.server)
            session = await self._admitted(program, card, use)
            act, about = f"program.{use.right.value}", f"{use.server or wanted.seen.value} {wanted.mechanism.shown}"
            return await self._every.signing.lend(
                session, wanted.authenticated, wanted.digest, act=act, about=about, told=use.told
            )

    async def decrypt(self, card: InsertedCard, cryptogram: bytes) -> bytes:
        """Return what the authentication key decrypts. Raises Refused."""
        with told():
            program = await self._known()
            use = Wanted(ProgramRight.DATA)
            session = await self._admitted(program, card, use)

            def decrypted(opened: Card, key: KeyRef) -> bytes:
                return opened.decrypt(key, cryptogram)

            digest = hashlib.sha256(cryptogram).digest()
            act, about = "program.decrypt", f"cryptogram {Mechanism.RSA_PKCS.shown}"
            try:
                return await self._every.signing.lend(session, decrypted, digest, act=act, about=about, told=use.told)
            except CardRefused as refusal:
                raise Refused(Rv.ENCRYPTED_DATA_INVALID) from refusal

    async def _session(self, program: Caller, card: InsertedCard) -> Session:
        return await self._every.logins.session(program, card, self._presence)

    async def _admitted(self, program: Caller, card: InsertedCard, wanted: Wanted) -> Session:
        """Return the session of a program that may do this, after the PIN's dialog too: some are shut out meanwhile."""
        is_lasting = self._file is not None and self._file.is_lasting
        await self._every.programs.admit(program, wanted, is_lasting=is_lasting)
        if open_one := self._every.logins.open_one(program, card):
            return open_one
        session = await self._session(program, card)
        await self._every.programs.admit(program, wanted, is_lasting=is_lasting)
        return session

    async def _known(self) -> Caller:
        """Return the program by the file that it runs, which is looked at once: at its first use of a key."""
        if self._file is None:
            peer = self._program.peer
            self._file = await self._every.files.of(peer)
            path = self._file.path
            name = program_id(path) if path else unseen_id(peer.process)
            self._program = replace(
                self._program, id=name, name=shown(path) or f"PID {peer.pid}", origin=f"urn:cardd:{name}"
            )
        return self._program


@contextmanager
def told() -> Iterator[None]:
    """Tell a failure as PKCS#11 does, and ask for nothing behind a locked screen. Raises Refused."""
    try:
        with asking_only_who_is_there():
            yield
    except CarddError as error:
        raise Refused(next((rv for kinds, rv in ANSWERS if isinstance(error, kinds)), Rv.FUNCTION_FAILED)) from error
