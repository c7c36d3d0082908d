"""The one place where the parts are made and joined; the daemon and the tests differ in what stands around them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from cardd import __version__
from cardd.api.connections import HasLeft, PeerOf
from cardd.api.parts import ApiLimits, Logins, Parts
from cardd.api.server import ApiServer, Listen
from cardd.config import Config
from cardd.core.attempts import Attempts
from cardd.core.clients import Clients
from cardd.core.consents import Consents
from cardd.core.dialog_lines import DialogLines
from cardd.core.events import EventBus
from cardd.core.leases import Leases
from cardd.core.lifecycle import PATIENCE, Lifecycle, Outer, Part
from cardd.core.observer import Observer
from cardd.core.origins import Origins
from cardd.core.owners import OwnedReaders, Owners, is_named
from cardd.core.page_passes import Pages
from cardd.core.pin import PinEntry, PinLife
from cardd.core.pin_guard import PinGuard
from cardd.core.programs import Programs
from cardd.core.readers import Admit, DriverRegistry, Readers
from cardd.core.recording import CountedRefusals, DocumentNames, Pseudonyms
from cardd.core.register import Register
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.status_pages import StatusPages
from cardd.core.support import SupportCodes
from cardd.core.trace import Trace
from cardd.core.trail import AuditTrail
from cardd.core.trays import Trays
from cardd.documents.assertions import Assertions
from cardd.documents.held import HeldDocuments
from cardd.documents.signing import DocumentSigning, Exchange, Stamper, TimestampAuthority
from cardd.documents.verification import Anchors, Verifier
from cardd.driver import CardDriver
from cardd.formats.pdf.process import PdfProcess
from cardd.identity.card_login import CPX, CardChoice, CardLogins, CpxLogins
from cardd.identity.chain import KnownAuthorities
from cardd.identity.csa import CsaLogins, OrganisationKey
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.methods import Methods
from cardd.identity.situations import Situations
from cardd.logbook import LogBook
from cardd.model import KeyPurpose
from cardd.outward import DIRECT, Outward
from cardd.p11.logins import Keys, ProgramLogins
from cardd.p11.server import Listen as ListenP11
from cardd.p11.server import P11Server
from cardd.ports import (
    AuditLog,
    Browsers,
    Clock,
    Handover,
    People,
    ProgramFiles,
    Prompter,
    ReaderSource,
    SecretStore,
    SourceSettings,
    Store,
)
from cardd.relay.relay import ClientCertificates, Relay
from cardd.relay.vouching import Vouching
from cardd.values import Value, field, replace

if TYPE_CHECKING:
    from cardd.formats.revocation import Answers, Network


class Outside(Value, kw_only=True):
    """What stands around the parts: of this machine in the daemon, of the test elsewhere.

    ``listen`` opens the sockets of the API when the parts start, ``listen_p11`` those of PKCS#11, whose connections
    outlive the daemon by ``handover``; ``peer_of`` returns who is at the other end of a connection, to the API or to
    where the browser comes back from Pro Santé Connect, ``program_peer_of`` of one to PKCS#11, ``has_left`` whether
    nobody is there any more. ``browsers`` tells a page's connection from a program's, ``program_files`` which file a
    program runs. ``drivers`` None stands for those that are installed, ``timestamps`` None for no timestamp authority.
    ``outward`` is the way to other machines. ``descriptors`` is from which file descriptor on no caller gets one.
    ``authorities`` (DER) are a simulator's, trusted beside the configured ones. ``parts`` are what of all this starts
    and stops, in this order; they start before all others and stop after them. ``tells_who_sits_here`` says that
    ``Owners.seated`` will be called. ``others`` returns whether another program may wait for a card.
    ``patience`` is as in ``Lifecycle``.
    """

    clock: Clock
    audit: AuditLog
    store: Store
    secrets: SecretStore
    prompter: Prompter
    people: People
    sources: Sequence[ReaderSource]
    listen: Listen
    listen_p11: ListenP11 = tuple
    handover: Handover = field(default_factory=Handover)
    peer_of: PeerOf
    program_peer_of: PeerOf
    has_left: HasLeft
    browsers: Browsers
    program_files: ProgramFiles
    revocation: Network
    answers: Answers
    timestamps: Exchange | None = None
    outward: Outward = DIRECT
    drivers: Sequence[CardDriver] | None = None
    authorities: Sequence[bytes] = ()
    parts: Sequence[Part] = ()
    tells_who_sits_here: bool = False
    others: Callable[[], bool] = lambda: True
    patience: float = PATIENCE
    limits: ApiLimits = field(default_factory=ApiLimits)
    descriptors: int = sys.maxsize
    logbook: LogBook = field(default_factory=LogBook)
    version: str = __version__


def assemble(config: Config, outside: Outside) -> Parts:
    """Make every part and join it to the others; ``Parts.lifecycle`` starts and stops them.

    Raises ConfigInvalid, StateUnavailable, StateDamaged.
    """
    core = _core(config, outside)
    identity = _identity(config, outside, core)
    pdf = _PdfProcesses(*(PdfProcess(confinement=config.sandbox.confinement) for _ in range(2)))
    parts = _parts(config, outside, core, identity, pdf)
    limits = replace(outside.limits, body=config.listen.max_body, descriptors=outside.descriptors)
    program_logins = ProgramLogins(identity.logins.cpx, identity.logins.csa, core.sessions)
    keys = Keys(core.programs, program_logins, core.signing, outside.program_files)
    core.lifecycle.join(
        *outside.parts,
        core.audit,
        core.observer,
        parts.trail,
        core.readers.owners,
        Outer("readers", watching=core.readers.every.watch, stopping=core.readers.every.stop),
        Outer("pdf", stopping=partial(asyncio.to_thread, pdf.close)),
        core.dialogs,
        parts.trays,
        core.consents,
        core.origins,
        core.programs,
        identity.organisation,
        identity.situations,
        parts.held,
        parts.relay,
        identity.logins.ecps,
        ApiServer(parts, listen=outside.listen, peer_of=outside.peer_of, has_left=outside.has_left, limits=limits),
        program_logins,
        P11Server(
            core.readers,
            keys,
            identity.authorities.above,
            listen=outside.listen_p11,
            peer_of=outside.program_peer_of,
            has_left=outside.has_left,
            events=core.events,
            observer=core.observer,
            handover=outside.handover,
            descriptors=outside.descriptors,
        ),
        core.clients,
        identity.expiry,
        core.sessions,  # the last to start and so the first to stop: every PIN is wiped, every card de-authenticated
    )
    return parts


class _PdfProcesses(Value):
    """Two of them: anybody may ask for a verification, and whoever signs waits for none."""

    signing: PdfProcess
    verifying: PdfProcess

    def close(self) -> None:
        """End both processes."""
        self.signing.close()
        self.verifying.close()


class _Core(Value):
    """Cards, people and programs, and what brings them together: what every other part asks."""

    lifecycle: Lifecycle
    audit: CountedRefusals
    events: EventBus
    trace: Trace
    observer: Observer
    dialogs: DialogLines
    sessions: Sessions
    readers: OwnedReaders
    clients: Clients
    origins: Origins
    programs: Programs
    consents: Consents
    pins: PinEntry
    pseudonyms: Pseudonyms
    signing: Signing
    leases: Leases


def _core(config: Config, outside: Outside) -> _Core:
    clock, events, lifecycle = outside.clock, EventBus(), Lifecycle(patience=outside.patience)
    trace = Trace(clock)
    observer = Observer(trace, clock)
    audit = CountedRefusals(outside.audit, told=observer.recorded)
    dialogs = DialogLines(outside.prompter, events, clock, config.prompt, audit)
    sessions = Sessions(clock, events, config.session, lifecycle)
    buses = (events, *trace.buses)
    owners = Owners(sessions, audit, outside.people, config.access, buses, is_told=outside.tells_who_sits_here)
    readers = OwnedReaders(_every_reader(config, outside, events, trace, lifecycle, admit=owners.admit), owners)
    register = Register(outside.store)
    clients = Clients(register, dialogs, clock, lifecycle)
    origins = Origins(register, dialogs, clock, lifecycle, config.web, listed=config.listed_origins)
    programs = Programs(outside.store, dialogs, clock, lifecycle, config.p11)
    consents = Consents(dialogs, clock, config.consent)
    pins = PinEntry(dialogs, lifecycle)
    pseudonyms = Pseudonyms(outside.store)
    names = DocumentNames(config.audit.documents, pseudonyms)
    signing = Signing(sessions, consents, pins, audit, names, patience=config.card.timeout)
    return _Core(
        lifecycle,
        audit,
        events,
        trace,
        observer,
        dialogs,
        sessions,
        readers,
        clients,
        origins,
        programs,
        consents,
        pins,
        pseudonyms,
        signing,
        Leases(sessions, (CPX,)),
    )


class _Identity(Value):
    """How somebody logs in, and what is known of whoever has."""

    logins: Logins
    organisation: OrganisationKey
    situations: Situations
    methods: Methods
    expiry: ExpiryWatch
    authorities: KnownAuthorities


def _identity(config: Config, outside: Outside, core: _Core) -> _Identity:
    authorities = KnownAuthorities(config.trust.authorities, outside.authorities)
    by_card = CardLogins(
        core.readers,
        core.sessions,
        core.pins,
        core.consents,
        core.audit,
        leases=core.leases,
        authorities=authorities,
    )
    expiry = ExpiryWatch(outside.store, outside.clock, core.events)
    csa = CsaLogins(by_card, core.readers, outside.secrets, expiry, token=config.csa.token)
    ecps = EcpsLogins(
        core.sessions,
        core.dialogs,
        core.consents,
        core.audit,
        outside.clock,
        settings=config.psc,
        secrets=outside.secrets,
        store=outside.store,
        peer_of=outside.peer_of,
        organisation=csa,
        outward=outside.outward,
    )
    return _Identity(
        Logins(CpxLogins(by_card, CardChoice(core.readers, core.dialogs), csa.owns), csa, ecps),
        OrganisationKey(csa, core.pins, core.sessions),
        Situations(core.signing, core.sessions, core.dialogs),
        Methods(core.readers, outside.prompter, csa, ecps, expiry),
        expiry,
        authorities,
    )


def _parts(config: Config, outside: Outside, core: _Core, identity: _Identity, pdf: _PdfProcesses) -> Parts:
    clock, audit, sessions, signing = outside.clock, core.audit, core.sessions, core.signing
    organisation, situations, ecps = identity.organisation, identity.situations, identity.logins.ecps
    pin_life = PinLife(core.dialogs, core.pins, core.leases, audit, core.lifecycle)
    return Parts(
        lifecycle=core.lifecycle,
        events=core.events,
        trace=core.trace,
        observer=core.observer,
        logbook=outside.logbook,
        may_read_metrics=partial(is_named, named=config.metrics.users, people=outside.people),
        clock=clock,
        readers=core.readers,
        leases=core.leases,
        sessions=sessions,
        clients=core.clients,
        origins=core.origins,
        programs=core.programs,
        pages=Pages(outside.browsers, audit),
        status_pages=StatusPages(clock),
        dialogs=core.dialogs,
        consents=core.consents,
        signing=signing,
        pin_life=pin_life,
        trays=Trays(config, core.readers, sessions, core.leases, pin_life, events=core.events),
        support=SupportCodes(outside.store, outside.secrets, audit, clock, config.support, host=os.uname().nodename),
        logins=identity.logins,
        methods=identity.methods,
        situations=situations,
        documents=DocumentSigning(signing, clock, pdf.signing, _stamper(config, outside)),
        held=HeldDocuments(clock),
        attempts=Attempts(audit, clock, config.card.timeout),
        assertions=Assertions(
            sessions, signing, core.consents, situations, organisation, ecps, core.pseudonyms, audit, clock, config.dmp
        ),
        audit=audit,
        trail=AuditTrail(audit),
        verifier=_verifier(config, outside, pdf.verifying),
        relay=Relay(
            config.upstreams,
            sessions,
            ClientCertificates(signing, organisation, audit),
            Vouching(outside.revocation, outside.answers, clock),
            clock,
            outward=outside.outward,
        ),
        version=outside.version,
    )


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
        others=outside.others,
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
