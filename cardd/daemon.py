"""The only place where everything is wired together: which parts run, and in what order they start and stop."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

from cardd import __version__
from cardd.agent.dialogs import Dialogs
from cardd.api.server import ApiServer
from cardd.api.services import ApiLimits, Logins, Services
from cardd.config import Config
from cardd.core.clients import Clients
from cardd.core.consent import Consents
from cardd.core.events import EventBus
from cardd.core.lifecycle import Lifecycle, Outer
from cardd.core.pin import PinEntry, PinGuard
from cardd.core.pin_life import PinLife
from cardd.core.prompts import AnnouncedPrompter
from cardd.core.pseudonyms import Pseudonyms
from cardd.core.readers import Readers
from cardd.core.registry import DriverRegistry, token_sources
from cardd.core.sessions import Sessions
from cardd.core.signing import Signing
from cardd.core.support import SupportCodes
from cardd.core.trace import Trace
from cardd.documents.assertions import Assertions
from cardd.documents.held import HeldDocuments
from cardd.documents.signing import DocumentSigning, Stamper, TimestampAuthority
from cardd.documents.verification import Anchors, Verifier
from cardd.formats.pdf.process import PdfProcess
from cardd.identity.authorities import KnownAuthorities
from cardd.identity.card_login import CardChoice, CardLogin, CpxLogin
from cardd.identity.csa import CsaLogin, OrganisationKey
from cardd.identity.ecps.registry import EcpsLogins
from cardd.identity.expiry import ExpiryWatch
from cardd.identity.methods import Methods
from cardd.identity.situations import Situations
from cardd.model import KeyPurpose
from cardd.pcsc.readers import PcscReaders
from cardd.ports import ReaderSource, SourceSettings
from cardd.relay.relay import ClientCertificates, Relay
from cardd.system import host, systemd
from cardd.system.audit_store import SqliteAuditLog
from cardd.system.host import SystemClock
from cardd.system.listening import listen
from cardd.system.logind import DesktopEvent, Logind
from cardd.system.peer import peer_of
from cardd.system.revocation import RevocationCache, RevocationHttp
from cardd.system.secrets import OsSecrets
from cardd.system.store import FileStore
from cardd.system.timestamping import TimestampHttp


class Daemon:
    """Every part of one running cardd. ``sources`` replaces PC/SC: the simulator in process.

    ``authorities`` (DER) are that simulator's, trusted in verifications beside the configured ones.
    """

    def __init__(
        self, config: Config, sources: Sequence[ReaderSource] | None = None, authorities: Sequence[bytes] = ()
    ) -> None:
        self._config = config
        self._sources = sources
        self._clock = clock = SystemClock()
        self._secrets = OsSecrets()
        self._events = EventBus()
        self._lifecycle = Lifecycle()
        self._trace = Trace(clock)
        self._readers = Readers(
            DriverRegistry(),
            self._events,
            self._trace,
            self._lifecycle,
            hold=config.card.hold,
            timeout=config.card.timeout,
        )
        self._dialogs = Dialogs(
            program=str(config.prompt.pinentry) if config.prompt.pinentry else None, timeout=config.prompt.timeout
        )
        self._prompter = AnnouncedPrompter(self._dialogs, self._events)
        self._audit = SqliteAuditLog(config.audit.directory, clock)
        self._sessions = Sessions(clock, self._events, config.session, self._lifecycle)
        self._consents = Consents(
            self._prompter, clock, batch_max=config.consent.batch_max, batch_lifetime=config.consent.batch_lifetime
        )
        self._store = FileStore(config.state.directory)
        self._expiry = ExpiryWatch(self._store, clock, self._events)
        self._clients = Clients(
            self._store,
            self._prompter,
            clock,
            self._lifecycle,
            allowed_origins=frozenset(config.web.allowed_origins),
        )
        self._pdf = PdfProcess()
        self._http: list[Outer] = []
        self._started: list[ReaderSource] = []
        self._services = self._offer(authorities)
        self._api = ApiServer(self._services, peer_of=peer_of, limits=ApiLimits(body=config.listen.max_body))
        self._logind = Logind(self._desktop_changed)
        self._lifecycle.join(
            Outer(stopping=self._audit.close),
            Outer(stopping=self._dialogs.stop),
            Outer(watching=self._watch_readers, stopping=self._release_readers),
            Outer(watching=self._logind.start, stopping=self._logind.stop),
            Outer(stopping=lambda: asyncio.to_thread(self._pdf.close)),
            *self._http,
            self._consents,
            self._organisation,
            self._services.situations,
            self._services.held,
            self._services.relay,
            self._services.logins.ecps,
            Outer(stopping=self._api.stop),
            self._clients,
            self._expiry,
            self._sessions,
        )

    def _offer(self, authorities: Sequence[bytes]) -> Services:
        """What the API can be asked for."""
        guard = PinGuard(self._clock)
        pins = PinEntry(self._prompter, guard)
        logins = self._logins(pins, authorities)
        signing = Signing(self._sessions, self._consents, pins, self._audit, hold_pin=self._holds_pin)
        self._organisation = organisation = OrganisationKey(logins.csa, pins, self._sessions)
        situations = Situations(signing, self._sessions, self._prompter)
        return Services(
            readers=self._readers,
            sessions=self._sessions,
            clients=self._clients,
            consents=self._consents,
            signing=signing,
            documents=DocumentSigning(signing, self._clock, self._pdf, self._timestamps()),
            held=HeldDocuments(self._clock),
            assertions=Assertions(
                self._sessions,
                signing,
                self._consents,
                situations,
                organisation,
                logins.ecps,
                Pseudonyms(self._store),
                self._audit,
                self._clock,
                self._config.dmp,
            ),
            verifier=self._verifier(authorities),
            logins=logins,
            methods=Methods(self._readers, logins.csa, logins.ecps, self._expiry),
            situations=situations,
            pin_life=PinLife(self._prompter, pins, guard, self._audit, self._lifecycle),
            support=self._support(),
            relay=Relay(
                self._config.upstreams,
                self._sessions,
                ClientCertificates(signing, organisation, self._audit),
                self._clock,
            ),
            events=self._events,
            trace=self._trace,
            clock=self._clock,
            version=__version__,
            unknown_origins="ask" if self._config.web.unknown_origins == "ask" else "refuse",
        )

    @property
    def _holds_pin(self) -> bool:
        return self._config.session.pin == "hold"

    def _logins(self, pins: PinEntry, simulated: Sequence[bytes]) -> Logins:
        login = CardLogin(
            self._readers,
            self._sessions,
            pins,
            self._consents,
            self._audit,
            hold_pin=self._holds_pin,
            authorities=KnownAuthorities(self._config.trust.authorities, simulated),
        )
        csa = CsaLogin(login, self._readers, self._secrets, self._expiry, token=self._config.csa.token)
        ecps = EcpsLogins(
            self._sessions,
            self._prompter,
            self._consents,
            self._audit,
            self._clock,
            settings=self._config.psc,
            secrets=self._secrets,
            store=self._store,
            organisation=csa,
        )
        return Logins(CpxLogin(login, CardChoice(self._readers, self._prompter), csa.owns), csa, ecps)

    def _support(self) -> SupportCodes:
        support = self._config.support
        label = support.label or os.uname().nodename
        return SupportCodes(self._store, self._secrets, self._audit, self._clock, demanded=support.totp, label=label)

    def _timestamps(self) -> Callable[[], Awaitable[Stamper]] | None:
        timestamp = self._config.timestamp
        if timestamp.url is None:
            return None
        http = TimestampHttp(timestamp.url, timeout=timestamp.timeout)
        self._http.append(Outer(stopping=http.close))
        authorities = timestamp.authorities or self._config.trust.authorities
        return TimestampAuthority(http, authorities, self._clock).stamper

    def _verifier(self, simulated: Sequence[bytes]) -> Verifier:
        trust = self._config.trust
        anchors = Anchors(trust.authorities, self._config.timestamp.authorities, simulated)
        http = RevocationHttp()
        self._http.append(Outer(stopping=http.close))
        answers = RevocationCache(self._config.state.directory / "revocation")
        return Verifier(anchors, http if trust.revocation == "online" else None, answers, self._pdf, self._clock)

    async def start(self) -> None:
        """Listen, so that the service manager may go on. Raises AddressInUse, ConfigInvalid, StateUnavailable."""
        listening = self._config.listen
        sockets = listen(systemd.take(), listening.tcp, listening.socket, listening.agent_socket)
        self._dialogs.start(sockets.agents)
        await self._lifecycle.start()
        await self._api.start(sockets.api)

    async def watch(self) -> None:
        """Begin to watch readers and desktops: what the first answer does not need comes after it."""
        await self._lifecycle.watch()

    async def stop(self) -> None:
        """Close the sessions, so that every PIN is wiped and every card de-authenticated, then everything else."""
        await self._lifecycle.stop()

    async def _watch_readers(self) -> None:
        given = self._sources if self._sources is not None else (PcscReaders(),)
        for source in (*given, *token_sources(self._token_settings())):
            await source.start(self._readers)
            self._started.append(source)

    async def _release_readers(self) -> None:
        await self._readers.close()
        for source in self._started:
            await source.stop()

    def _token_settings(self) -> SourceSettings:
        csa = self._config.csa
        files = {KeyPurpose.AUTHENTICATION: csa.authentication, KeyPurpose.SIGNATURE: csa.signature}
        organisation = {purpose: path for purpose, path in files.items() if path}
        return SourceSettings(self._config.pkcs11.modules, organisation)

    def _desktop_changed(self, event: DesktopEvent, uid: int | None) -> None:
        """Rule 7: the screen is locked or unlocked, or the machine goes to sleep."""
        change = self._sessions.unlock_where if event is DesktopEvent.UNLOCK else self._sessions.lock_where
        change(lambda session: uid in (None, session.caller.peer.uid))


async def run(config: Config, sources: Sequence[ReaderSource] | None = None, authorities: Sequence[bytes] = ()) -> None:
    """Serve until SIGTERM or SIGINT. Raises what ``Daemon.start`` raises."""
    host.harden()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    daemon = Daemon(config, sources, authorities)
    await daemon.start()
    systemd.ready()
    await daemon.watch()
    await stopping.wait()
    systemd.stopping()
    await daemon.stop()
