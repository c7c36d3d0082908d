"""Assertions in a session's name: a VIHF for the DMP, one for the INSi service; built here, signed by its key.

Who a session is decides the mode: a card's is direct, an organisation's indirect, and an e-CPS login's, joined with the
organisation's key, AIR. One consent in a session covers them all (rule 2: nothing in them is the program's word where
card, certificate or PSC tell); each is a row of the audit log, its patient under a pseudonym.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Protocol

from cardd.config import Dmp
from cardd.core.attempts import Attempt
from cardd.core.consents import Consents
from cardd.core.recording import Pseudonyms, RecordedWork, entry_of, recorded
from cardd.core.session import Credential, Session
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.driver import Card
from cardd.errors import InvalidRequest, SituationUnknown
from cardd.formats.prepared import Signer
from cardd.formats.saml.profiles import DmpProfile, profile_named, varied
from cardd.formats.saml.request import (
    Access,
    Authentication,
    InsiCall,
    Means,
    Mode,
    Patient,
    Registration,
    Speaker,
    VihfCall,
    means_of_psc,
)
from cardd.identity.card_login import CPX
from cardd.identity.csa import CSA, OrganisationKey
from cardd.identity.holders import organisation_of
from cardd.identity.situations import Situations
from cardd.model import Algorithm, AuditEntry, Identity, Organisation, Situation
from cardd.ports import AuditLog, Clock
from cardd.values import Record, Value, replace

if TYPE_CHECKING:
    from cardd.formats.saml.assertion import PreparedAssertion

Prepare = Callable[[Signer], "PreparedAssertion"]

DECLARED = "declared"  # the identifier of a situation that the program tells, where an organisation vouches


class VihfWanted(Value):
    """One VIHF. ``sector`` and ``means`` are the program's word, wanted where an organisation alone vouches."""

    registration: Registration
    patient: Patient | None = None
    access: Access = Access.NORMAL
    is_secret: bool = False
    role: str | None = None
    section: str | None = None
    sector: str | None = None
    means: Means | None = None


class InsiWanted(Value):
    """One INSi assertion."""

    registration: Registration
    call: InsiCall


class Issued(Value):
    """An assertion, XML in UTF-8; ``certificate`` (DER) is the signer's, None for one that nobody signs."""

    content: bytes
    certificate: bytes | None


class PscMeans(Protocol):
    """What is known of a login through Pro Santé Connect."""

    def means_of(self, session: Session) -> str | None:
        """PSC's ``authMode``: how the person logged in there."""
        ...


class Assertions(Record, dict=True):
    """Issues them, in the variants of one DMP profile."""

    sessions: Sessions
    signing: Signing
    consents: Consents
    situations: Situations
    organisation: OrganisationKey
    psc: PscMeans
    pseudonyms: Pseudonyms
    audit: AuditLog
    clock: Clock
    dmp: Dmp

    def __post_init__(self) -> None:
        self._profile = varied(profile_named(self.dmp.profile), self.dmp.changes, window=self.dmp.window)

    async def vihf(self, session: Session, wanted: VihfWanted, attempt: Attempt) -> Issued:
        """A VIHF. Raises AssertionRefused's classes, SituationUnknown, ConsentRefused, the errors of PIN and card."""
        speaker = await self._speaker(session, wanted)
        mode = {CPX: Mode.DIRECT, CSA: Mode.INDIRECT}.get(session.method, Mode.AIR)
        call = VihfCall(mode, wanted.patient, wanted.access, wanted.is_secret, wanted.role, wanted.section)
        vihf = _Vihf(speaker, self._completed(wanted.registration), call, self._profile, self.clock)
        entry = entry_of(session.caller, "assertion.vihf", session=session.id, document=self._about(wanted))
        if mode is Mode.AIR:
            return await self._air(session, vihf, entry, attempt)
        return await self._signed(session, vihf.prepare, entry, attempt)

    async def insi(self, session: Session, wanted: InsiWanted, attempt: Attempt) -> Issued:
        """An INSi assertion; one of a person whom PSC vouches for is not signed. Raises as ``vihf`` does."""
        speaker = await self._speaker(session, None)
        insi = _Insi(speaker, self._completed(wanted.registration), wanted.call, self._profile, self.clock)
        entry = entry_of(session.caller, "assertion.insi", session=session.id, document="insi")
        if session.card is None:
            return await self._unsigned(session, insi, entry)
        return await self._signed(session, insi.prepare, entry, attempt)

    async def _signed(self, session: Session, prepare: Prepare, entry: AuditEntry, attempt: Attempt) -> Issued:
        credential, algorithm = self.signing.signer(session, None)
        signer = Signer(credential.certificate, credential.chain, algorithm)
        await asyncio.to_thread(prepare, signer)  # what is wrong with it is told before anybody is asked
        async with recorded(self.audit, entry):
            consent = await self._agreed(session)
        prepared = await asyncio.to_thread(prepare, signer)
        signed = await self.signing.issue(
            session, prepared.message, entry.action, entry.document or "", consent, attempt=attempt
        )
        content = await asyncio.to_thread(_written, prepared, signed.signature)
        return Issued(content, credential.certificate)

    async def _air(self, session: Session, vihf: _Vihf, entry: AuditEntry, attempt: Attempt) -> Issued:
        """The organisation's certificate is behind its password: all of it happens where its key is."""
        recorded_work: RecordedWork[Issued] = self.signing.recordings.begin(self.organisation)

        def work(card: Card, credential: Credential) -> Issued:
            attempt.has_signed(self.audit)  # such a result is lost
            signer = Signer(credential.certificate, credential.chain, Algorithm.RS256)
            prepared = vihf.of_organisation(organisation_of(credential.certificate)).prepare(signer)
            value = card.sign(credential.key, signer.algorithm, prepared.message)
            content = _written(prepared, value)
            row = replace(entry, digest=prepared.message.digest.hex(), certificate=credential.serial, consent=consent)
            return recorded_work.record(Issued(content, credential.certificate), [row], attempt.receipt())

        await asyncio.to_thread(vihf.check)  # as much of it as can be told before anybody is asked
        async with recorded(self.audit, entry):
            consent = await self._agreed(session)
            return await recorded_work.result(self.organisation.use(session, work))

    async def _unsigned(self, session: Session, insi: _Insi, entry: AuditEntry) -> Issued:
        content = await asyncio.to_thread(insi.unsigned)
        async with recorded(self.audit, entry):
            consent = await self._agreed(session)
        await self.audit.append(replace(entry, consent=consent))
        return Issued(content, None)

    async def _agreed(self, session: Session) -> str:
        """The consent's name, where the session did not end, and its screen was not locked, while it was asked for."""
        consent = await self.consents.assertions(session)
        self.sessions.ensure_usable(session)
        return consent

    def _about(self, wanted: VihfWanted) -> str:
        """Return the audit log's note: which patient, under a pseudonym, and how the record is opened (EX_AIR-070)."""
        patient = f"patient:{self.pseudonyms.of(wanted.patient.ins)}" if wanted.patient else "vihf"
        return " ".join((patient, wanted.access, *(["secret"] if wanted.is_secret else [])))

    def _completed(self, registration: Registration) -> Registration:
        """Return the practice software's registration with the values that no public source tells."""
        dmp = self.dmp
        return replace(registration, secret_code=dmp.secret_code, insi_issuer=dmp.insi_issuer, labels=dmp.words)

    async def _speaker(self, session: Session, wanted: VihfWanted | None) -> Speaker:
        if session.method == CSA:
            return _declared(session, wanted)
        for name in ("sector", "means") if wanted else ():
            if getattr(wanted, name) is not None:  # card and Pro Santé Connect tell them (EX_2.1-1140)
                raise InvalidRequest(where=f"$.{name}", why="unknown")
        await self.situations.read(session)
        if session.situation is None and session.situations:
            raise SituationUnknown(known=", ".join(one.id for one in session.situations))
        return Speaker(session.identity, Authentication(session.opened_at, self._means(session)), session.situation)

    def _means(self, session: Session) -> Means:
        return Means.CARD if session.method == CPX else means_of_psc(self.psc.means_of(session))


def _declared(session: Session, wanted: VihfWanted | None) -> Speaker:
    """Where an organisation vouches, the program tells how the person logged in, and in which sector they act."""
    if wanted is None:
        return Speaker(session.identity, Authentication(session.opened_at, Means.TLS))
    if wanted.means is None:
        raise InvalidRequest(where="$.means", why="missing")
    return Speaker(
        session.identity, Authentication(session.opened_at, wanted.means), Situation(DECLARED, sector=wanted.sector)
    )


class _Vihf(Value):
    """A VIHF but for its signer."""

    speaker: Speaker
    registration: Registration
    call: VihfCall
    profile: DmpProfile
    clock: Clock

    def of_organisation(self, organisation: Organisation) -> _Vihf:
        return replace(self, speaker=replace(self.speaker, identity=self._identity(organisation)))

    def prepare(self, signer: Signer) -> PreparedAssertion:
        from cardd.formats.saml.vihf import prepare_vihf  # noqa: PLC0415 - when the first one is wanted

        return prepare_vihf(self.speaker, signer, self.registration, self.call, profile=self.profile, clock=self.clock)

    def check(self) -> None:
        from cardd.formats.saml.vihf import check_vihf  # noqa: PLC0415 - as above

        check_vihf(self.speaker, self.registration, self.call, self.profile)

    def _identity(self, organisation: Organisation) -> Identity:
        return replace(self.speaker.identity, organisation=organisation)


class _Insi(Value):
    """An INSi assertion but for its signer."""

    speaker: Speaker
    registration: Registration
    call: InsiCall
    profile: DmpProfile
    clock: Clock

    def prepare(self, signer: Signer) -> PreparedAssertion:
        from cardd.formats.saml.insi import prepare_insi  # noqa: PLC0415 - when the first one is wanted

        return prepare_insi(self.speaker, signer, self.call, profile=self.profile, clock=self.clock)

    def unsigned(self) -> bytes:
        from cardd.formats.saml.insi import unsigned_insi  # noqa: PLC0415 - as above

        return _read(unsigned_insi(self.speaker, self.registration, self.call, self.clock))


def _written(prepared: PreparedAssertion, value: bytes) -> bytes:
    return _read(prepared.finish(value))


def _read(content: BinaryIO) -> bytes:
    with content:
        return content.read()
