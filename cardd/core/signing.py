"""Signatures and authentication: consent, PIN, card, audit row, in this order; the result leaves last.

Rules 2, 3, 4 and 8 meet here. The signature key signs only what a consent covers; the authentication key signs only
digests that this module builds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import TypeVar

from cardd.core.attempts import KEYLESS, Attempt, SignedMeanwhile
from cardd.core.card_transaction import HeldPinKept, HolderVerification, InPieces, Work
from cardd.core.consents import Batch, Consents, SignatureRequest
from cardd.core.dialog_lines import question_of
from cardd.core.inserted_card import InsertedCard
from cardd.core.pin import PinEntry
from cardd.core.recording import DocumentNames, RecordedWork, Recordings, entry_of, recorded
from cardd.core.session import Credential, Session
from cardd.core.sessions import Sessions
from cardd.driver import Card
from cardd.errors import (
    AlgorithmUnsupported,
    AuditSlow,
    CarddError,
    CardIncomplete,
    CardTimeout,
    PinBlocked,
    PinRequired,
    PinWrong,
    SessionCannotSign,
)
from cardd.model import Algorithm, AuditEntry, KeyPurpose, KeyRef, Message, Question
from cardd.ports import AuditLog
from cardd.values import Value, replace

T = TypeVar("T")
Asked = Callable[[], Question]


class Signed(Value):
    """One signature with the certificate that verifies it and the chain above, as far as it is known."""

    algorithm: Algorithm
    signature: bytes
    certificate: bytes
    chain: tuple[bytes, ...]


class Signing:
    """What sessions may have signed; a disk that dawdles over a row is waited for ``patience`` seconds more."""

    def __init__(
        self,
        sessions: Sessions,
        consents: Consents,
        pins: PinEntry,
        audit: AuditLog,
        names: DocumentNames,
        *,
        patience: float,
    ) -> None:
        self._names = names
        self._sessions = sessions
        self._consents = consents
        self._pins = pins
        self._audit = audit
        self.recordings = Recordings(audit, patience)

    def signer(self, session: Session, algorithm: Algorithm | None) -> tuple[Credential, Algorithm]:
        """The key that would sign, and how. Raises SessionCannotSign, CardIncomplete, AlgorithmUnsupported."""
        credential = _credential(session, KeyPurpose.SIGNATURE)
        return credential, _algorithm(credential, algorithm)

    def check_size(self, count: int, batch: Batch | None) -> None:
        """Raises InvalidRequest when one consent may not cover so many signatures."""
        self._consents.check_size(count, batch)

    async def sign(
        self, session: Session, requests: list[SignatureRequest], batch: Batch | None, attempt: Attempt = KEYLESS
    ) -> list[Signed]:
        """Sign all the requests under one consent, or none of them; nothing is asked for what was signed before.

        Raises CardIncomplete, AlgorithmUnsupported, the consent's and PIN's errors, the card's, AuditUnavailable,
        SignatureLost; SignedMeanwhile when an attempt that was given up has signed.
        """
        credential = _credential(session, KeyPurpose.SIGNATURE)
        algorithms = [_algorithm(credential, request.algorithm) for request in requests]
        self.check_size(len(requests), batch)
        messages = [request.message for request in requests]
        entries = [self._entry(session, credential, request) for request in requests]
        recorded_work: RecordedWork[list[bytes]] = self.recordings.begin(_card_of(session).access)

        def work(card: Card, consent: str) -> Generator[None, Card, list[bytes]]:
            if attempt.has_signed(self._audit):
                return []
            values: list[bytes] = []
            for message, algorithm in zip(messages, algorithms, strict=True):
                if values:
                    card = yield
                values.append(card.sign(credential.key, algorithm, message))
            rows = [replace(entry, consent=consent) for entry in entries]
            return recorded_work.record(values, rows, attempt.receipt(messages, values))

        values = attempt.signed_before(messages)
        if values is None:
            async with recorded(self._audit, *entries):
                values = await self._consented(session, requests, batch, work, recorded_work)
        if not values:
            raise SignedMeanwhile
        return [
            Signed(algorithm, value, credential.certificate, credential.chain)
            for algorithm, value in zip(algorithms, values, strict=True)
        ]

    async def read(self, session: Session, work: Callable[[Card], T]) -> T:
        """Return what only the holder's PIN opens on the card. Raises SessionCannotSign, errors of PIN and card."""
        return await self._on_card(session, partial(question_of, session.caller, "unlock"), work)

    async def issue(
        self, session: Session, message: Message, act: str, document: str, consent: str, *, attempt: Attempt = KEYLESS
    ) -> Signed:
        """Sign what the daemon built itself from known fields, under a consent that was given before (rule 2).

        ``act`` and ``document`` are the audit row's; what was signed cannot be made again from its value. Raises as
        ``sign`` does.
        """
        credential = _credential(session, KeyPurpose.SIGNATURE)
        algorithm = credential.key.algorithms[0]
        entry = entry_of(
            session.caller,
            act,
            session=session.id,
            digest=message.digest,
            document=document,
            certificate=credential.serial,
            consent=consent,
        )
        recorded_work: RecordedWork[bytes] = self.recordings.begin(_card_of(session).access)

        def work(card: Card) -> bytes:
            attempt.has_signed(self._audit)  # such a result is lost
            value = card.sign(credential.key, algorithm, message)
            return recorded_work.record(value, [entry], attempt.receipt())

        async with recorded(self._audit, entry):
            value = await recorded_work.result(self.read(session, work))
        return Signed(algorithm, value, credential.certificate, credential.chain)

    async def authenticate(self, session: Session, nonce: str) -> Signed:
        """Sign the caller's own origin and its nonce with the authentication key (rule 2).

        The value is that of a Web EID authentication token: hash(hash(origin) + hash(nonce)) (web-eid:1.0).
        """
        credential = _credential(session, KeyPurpose.AUTHENTICATION)
        caller = session.caller
        value = hashlib.sha256(caller.origin.encode()).digest() + hashlib.sha256(nonce.encode()).digest()
        digest = hashlib.sha256(value).digest()
        entry = entry_of(
            caller,
            "auth_token.issue",
            session=session.id,
            digest=digest,
            certificate=credential.serial,
            consent="login",
        )
        algorithm = credential.key.algorithms[0]
        question = partial(question_of, caller, "unlock")
        signature = await self._authenticated(session, question, entry, algorithm, digest)
        return Signed(algorithm, signature, credential.certificate, credential.chain)

    async def lend(
        self,
        session: Session,
        operation: Callable[[Card, KeyRef], bytes],
        digest: bytes,
        *,
        act: str,
        about: str,
        told: Mapping[str, str],
    ) -> bytes:
        """Use the authentication key for what another program asks: the person let that program in.

        ``digest`` stands in the audit row for what the program gave, ``act`` and ``about`` are the row's, ``told`` is
        what the dialog says of it where no PIN is held. Raises SessionCannotSign, CardIncomplete, AlgorithmUnsupported,
        the PIN's and the card's errors, AuditUnavailable.
        """
        credential = _credential(session, KeyPurpose.AUTHENTICATION)
        entry = entry_of(
            session.caller,
            act,
            session=session.id,
            digest=digest,
            document=about,
            certificate=credential.serial,
            consent="program",
        )
        question = question_of(session.caller, "lend")
        asked = replace(question, params={**question.params, **told})
        return await self._with_authentication(session, lambda: asked, entry, operation)

    def authentication(self, session: Session) -> Credential:
        """The key that stands for the session's holder. Raises SessionCannotSign, CardIncomplete."""
        return _credential(session, KeyPurpose.AUTHENTICATION)

    async def agree_to_relay(self, session: Session, upstream: str, host: str, *, asks: bool) -> None:
        """Ask once a session for the consent to reach this server with the session's certificate.

        Where the PIN is not held, the handshake's PIN dialog is the consent; ``asks`` False takes the login for it.
        Raises ConsentRefused, ConsentTimeout.
        """
        if asks and (session.pin is not None or session.card is None):
            await self._consents.relaying(session, upstream, host)

    async def handshake(
        self, session: Session, upstream: str, host: str, *, algorithm: Algorithm, digest: bytes, asked: bool
    ) -> bytes:
        """Sign the digest of a TLS handshake with a configured server, whose certificate was verified (rule 2).

        ``asked`` as in ``agree_to_relay``. Raises the PIN's and the card's errors, AlgorithmUnsupported,
        AuditUnavailable.
        """
        # once more: the PIN whose dialog would have asked may have been given meanwhile, in another server's
        await self.agree_to_relay(session, upstream, host, asks=asked)
        question = partial(self._consents.relay_question, session, upstream, host)
        entry = self.handshake_entry(session, upstream, host, digest, asked=asked)
        entry = replace(entry, certificate=self.authentication(session).serial)
        is_dialog_due = session.pin is None
        signature = await self._authenticated(session, question, entry, algorithm, digest)
        if is_dialog_due:
            self._consents.relay_agreed(session, upstream, "pin")
        return signature

    def handshake_entry(self, session: Session, upstream: str, host: str, digest: bytes, *, asked: bool) -> AuditEntry:
        """The row of a handshake, its certificate still to be named."""
        consent = self._consents.relay_consent(session, upstream) if asked else "login"
        about = f"{upstream} {host}"
        return entry_of(
            session.caller, "tls.handshake", session=session.id, digest=digest, document=about, consent=consent
        )

    def _entry(self, session: Session, credential: Credential, request: SignatureRequest) -> AuditEntry:
        """The row of a signature, its consent still to be named."""
        name = self._names.kept(request.document) if request.document else request.document
        return entry_of(
            session.caller,
            f"signature.{request.format}",
            session=session.id,
            digest=request.shown,
            document=f"{name or ''} {request.mechanism}".strip() if request.mechanism else name,
            certificate=credential.serial,
        )

    async def _authenticated(
        self, session: Session, question: Asked, entry: AuditEntry, algorithm: Algorithm, digest: bytes
    ) -> bytes:
        """The authentication key's signature of the daemon's own digest, recorded before it is known."""
        return await self._with_authentication(
            session, question, entry, lambda card, key: card.authenticate(key, algorithm, digest)
        )

    async def _with_authentication(
        self, session: Session, question: Asked, entry: AuditEntry, operation: Callable[[Card, KeyRef], bytes]
    ) -> bytes:
        """What the card does with its authentication key, recorded before it is known."""
        key = self.authentication(session).key
        recorded_work: RecordedWork[bytes] = self.recordings.begin(_card_of(session).access)

        def work(card: Card) -> bytes:
            return recorded_work.record(operation(card, key), [entry])

        async with recorded(self._audit, entry):
            return await recorded_work.result(self._on_card(session, question, work))

    async def _consented(
        self,
        session: Session,
        requests: list[SignatureRequest],
        batch: Batch | None,
        work: Callable[[Card, str], Generator[None, Card, list[bytes]]],
        recorded_work: RecordedWork[list[bytes]],
    ) -> list[bytes]:
        """The signatures; ``work`` is told the consent's name. Without a held PIN, the PIN dialog is the consent."""
        consent = self._consents.take(session, requests, batch)
        if consent is None and session.pin is not None and session.card is not None:
            async with session.card.access.kept():
                consent = await self._consents.ask(session, requests, batch)
        question = partial(self._consents.question, session, requests, batch)
        how = consent.how if consent else "pin"
        try:
            pieces = InPieces(lambda card: work(card, how))
            values = await recorded_work.result(self._on_card(session, question, pieces, operations=len(requests)))
        except (AuditSlow, CardTimeout):
            raise  # the card may have signed, or may still do so: the consent is spent
        except CarddError:
            if consent:
                consent.give_back()
            raise
        if consent is None:
            self._consents.agreed(session, requests, batch, how)
        elif not values:
            consent.give_back()
        return values

    async def _on_card(self, session: Session, question: Asked, work: Work[T], *, operations: int = 1) -> T:
        """Return what ``work`` does with the card; ``question`` is made where the user is asked for the PIN."""
        card = _card_of(session)
        known = frozenset(credential.certificate for credential in session.credentials.values())
        if session.pin is not None:
            login = HolderVerification(
                session.id, session.pin, accepted=True, certificates=known, caller=session.caller.key
            )
            try:
                with self._pins.telling(card, session.caller.key):
                    return await card.access.use(work, login)
            except (PinWrong, PinBlocked):
                self._sessions.distrust_pins(card)  # rule 4: one refusal, and no held PIN of this card is sent again
                raise
            except HeldPinKept:
                self._sessions.distrust_pins(card)  # and the user is asked
            except PinRequired:
                self._sessions.ensure_open(session)
                raise
        self._sessions.ensure_open(session)  # nobody is asked for a PIN that would serve nothing
        is_locked = self._sessions.lock_watch(session.caller.peer.uid)
        value, pin = await self._pins.login(
            card,
            session.id,
            session.caller.key,
            question(),
            work,
            certificates=known,
            ensure_wanted=lambda: self._sessions.ensure_open(session),  # rule 7: a dialog may outlast it
            operations=operations,
        )
        if pin is not None and self._sessions.hold_pins and self._sessions.is_open(session) and not is_locked():
            session.take_pin(pin)
        elif pin is not None:
            pin.wipe()
        return value


def _card_of(session: Session) -> InsertedCard:
    if session.card is None:
        raise SessionCannotSign
    return session.card


def _credential(session: Session, purpose: KeyPurpose) -> Credential:
    _card_of(session)
    credential = session.credentials.get(purpose)
    if credential is None:
        raise CardIncomplete(what=f"certificate.{purpose.value}")
    return credential


def _algorithm(credential: Credential, wanted: Algorithm | None) -> Algorithm:
    algorithms = credential.key.algorithms
    if wanted is None:
        return algorithms[0]
    if wanted not in algorithms:
        raise AlgorithmUnsupported(algorithm=wanted.value)
    return wanted
