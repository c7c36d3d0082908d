"""The one place where the parts are made and joined; the daemon and the tests differ in what stands around them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from cardd import __version__
from cardd.api.parts import ApiLimits, Logins, Parts
from cardd.api.server import ApiServer, HasLeft, Listen, PeerOf
from cardd.config import Config
from cardd.core.attempts import Attempts
from cardd.core.clients import Clients, Pages
from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.events import EventBus
from cardd.core.lifecycle import Lifecycle, Outer, Part
from cardd.core.owners import OwnedReaders, Owners
from cardd.core.pin import PinEntry, PinLife
from cardd.core.pin_guard import PinGuard
from cardd.core.readers import Admit, DriverRegistry, Readers
from cardd.core.recording import CountedRefusals, DocumentNames, Pseudonyms
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.support import SupportCodes
from cardd.core.trace import Trace
from cardd.core.trail import AuditTrail
from cardd.documents.assertions import Assertions
from cardd.documents.held import HeldDocuments
from cardd.documents.signing import DocumentSigning, Exchange, Stamper, TimestampAuthority
from cardd.documents.verification import Anchors, Verifier
from cardd.driver import CardDriver
from cardd.formats.pdf.process import PdfProcess
from cardd.identity.card_login import CardChoice, CardLogin, CpxLogin, KnownAuthorities
from cardd.identity.csa import CsaLogin, OrganisationKey
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.methods import Methods
from cardd.identity.situations import Situations
from cardd.model import KeyPurpose
from cardd.outward import DIRECT, Outward
from cardd.ports import AuditLog, Browsers, Clock, People, Prompter, ReaderSource, SecretStore, SourceSettings, Store
from cardd.relay.relay import ClientCertificates, Relay
from cardd.relay.vouching import Vouching

if TYPE_CHECKING:
    from cardd.formats.revocation import Answers, Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What stands around the parts: of this machine in the daemon, of the test elsewhere.

    ``listen`` opens the sockets of the API when the parts start; ``peer_of`` returns who is at the other end of a
    connection, to the API or to where the browser comes back from Pro Santé Connect, ``has_left`` whether nobody is
    there any more. ``browsers`` tells a page's connection from a program's. ``drivers`` None stands for those that are
    installed, ``timestamps`` None for no timestamp authority. ``outward`` is the way to other machines. ``descriptors``
    is from which file descriptor on no caller gets one. ``authorities`` (DER) are a simulator's, trusted beside the
    configured ones. ``parts`` are what of all this starts and stops, in this order; they start before all others and
    stop after them. ``tells_who_sits_here`` says that ``Owners.seated`` will be called.
    """

    clock: Clock
    audit: AuditLog
    store: Store
    secrets: SecretStore
    prompter: Prompter
    people: People
    sources: Sequence[ReaderSource]
    listen: Listen
    peer_of: PeerOf
    has_left: HasLeft
    browsers: Browsers
    revocation: Network
    answers: Answers
    timestamps: Exchange | None = None
    outward: Outward = DIRECT
    drivers: Sequence[CardDriver] | None = None
    authorities: Sequence[bytes] = ()
    parts: Sequence[Part] = ()
    tells_who_sits_here: bool = False
    limits: ApiLimits = field(default_factory=ApiLimits)
    descriptors: int = sys.maxsize
    version: str = __version__


def assemble(config: Config, outside: Outside) -> Parts:
    """Make every part and join it to the others; ``Parts.lifecycle`` starts and stops them.

    Raises ConfigInvalid, StateUnavailable, StateDamaged.
    """
    limits = replace(outside.limits, body=config.listen.max_body, descriptors=outside.descriptors)
    clock, audit, events, lifecycle = outside.clock, CountedRefusals(outside.audit), EventBus(), Lifecycle()
    trace, pdf = Trace(clock), PdfProcess(confinement=config.sandbox.confinement)
    dialogs = DialogLines(outside.prompter, events, clock, config.prompt, audit)
    sessions = Sessions(clock, events, config.session, lifecycle)
    buses = (events, *trace.buses)
    owners = Owners(sessions, audit, outside.people, config.access, buses, is_told=outside.tells_who_sits_here)
    readers = OwnedReaders(_every_reader(config, outside, events, trace, lifecycle, admit=owners.admit), owners)
    clients = Clients(outside.store, dialogs, clock, lifecycle, allowed_origins=frozenset(config.web.allowed_origins))
    consents = Consents(dialogs, clock, config.consent)
    pins = PinEntry(dialogs)
    pseudonyms = Pseudonyms(outside.store)
    names = DocumentNames(config.audit.documents, pseudonyms)
    signing = Signing(sessions, consents, pins, audit, names, patience=config.card.timeout)
    situations = Situations(signing, sessions, dialogs)
    expiry = ExpiryWatch(outside.store, clock, events)
    authorities = KnownAuthorities(config.trust.authorities, outside.authorities)
    card_login = CardLogin(readers, sessions, pins, consents, audit, authorities=authorities)
    csa = CsaLogin(card_login, readers, outside.secrets, expiry, token=config.csa.token)
    organisation = OrganisationKey(csa, pins, sessions)
    ecps = EcpsLogins(
        sessions,
        dialogs,
        consents,
        audit,
        clock,
        settings=config.psc,
        secrets=outside.secrets,
        store=outside.store,
        peer_of=outside.peer_of,
        organisation=csa,
        outward=outside.outward,
    )
    parts = Parts(
        lifecycle=lifecycle,
        events=events,
        trace=trace,
        clock=clock,
        readers=readers,
        sessions=sessions,
        clients=clients,
        pages=Pages(outside.browsers, audit),
        consents=consents,
        signing=signing,
        pin_life=PinLife(dialogs, pins, audit, lifecycle),
        support=SupportCodes(outside.store, outside.secrets, audit, clock, config.support, host=os.uname().nodename),
        logins=Logins(CpxLogin(card_login, CardChoice(readers, dialogs), csa.owns), csa, ecps),
        methods=Methods(readers, csa, ecps, expiry),
        situations=situations,
        documents=DocumentSigning(signing, clock, pdf, _stamper(config, outside)),
        held=HeldDocuments(clock),
        attempts=Attempts(audit, clock, config.card.timeout),
        assertions=Assertions(
            sessions, signing, consents, situations, organisation, ecps, pseudonyms, audit, clock, config.dmp
        ),
        audit=audit,
        trail=AuditTrail(audit),
        verifier=_verifier(config, outside, pdf),
        relay=Relay(
            config.upstreams,
            sessions,
            ClientCertificates(signing, organisation, audit),
            Vouching(outside.revocation, outside.answers, clock),
            clock,
            outward=outside.outward,
        ),
        version=outside.version,
        unknown_origins=config.web.unknown_origins,
    )
    lifecycle.join(
        *outside.parts,
        audit,
        parts.trail,
        owners,
        Outer("readers", watching=readers.every.watch, stopping=readers.every.stop),
        Outer("pdf", stopping=partial(asyncio.to_thread, pdf.close)),
        consents,
        organisation,
        situations,
        parts.held,
        parts.relay,
        ecps,
        ApiServer(parts, listen=outside.listen, peer_of=outside.peer_of, has_left=outside.has_left, limits=limits),
        clients,
        expiry,
        sessions,  # the last to start and so the first to stop: every PIN is wiped, every card de-authenticated
    )
    return parts


def _every_reader(
    config: Config, outside: Outside, events: EventBus, trace: Trace, lifecycle: Lifecycle, *, admit: Admit
) -> Readers:
    return Readers(
        DriverRegistry(outside.drivers),
        events,
        trace,
        lifecycle,
        config.card,
        guard=PinGuard(outside.clock),
        admit=admit,
        sources=outside.sources,
        tokens=_tokens(config),
    )


def _tokens(config: Config) -> SourceSettings:
    files = {KeyPurpose.AUTHENTICATION: config.csa.authentication, KeyPurpose.SIGNATURE: config.csa.signature}
    return SourceSettings(
        modules=config.pkcs11.modules,
        files=config.pkcs11.files,
        unconfined=config.pkcs11.unconfined,
        sandbox=config.sandbox.confinement,
        organisation={purpose: file for purpose, file in files.items() if file},
    )


def _stamper(config: Config, outside: Outside) -> Callable[[], Awaitable[Stamper]] | None:
    if outside.timestamps is None:
        return None
    authorities = config.timestamp.authorities or config.trust.authorities
    return TimestampAuthority(outside.timestamps, authorities, outside.clock).stamper


def _verifier(config: Config, outside: Outside, pdf: PdfProcess) -> Verifier:
    anchors = Anchors(config.trust.authorities, config.timestamp.authorities, outside.authorities)
    network = outside.revocation if config.trust.revocation == "online" else None
    return Verifier(anchors, network, outside.answers, pdf, outside.clock)
