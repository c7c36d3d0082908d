"""The process around the parts: this machine's own things, sockets, signals and the word to the service manager."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from cardd import __version__
from cardd.agent.arming import ARMED_AFTER
from cardd.agent.dialogs import Dialogs
from cardd.agent.server import AgentChange, AgentServer, Kept, RefusedAgent, no_tray
from cardd.agent.tray import TrayLine
from cardd.assembly import Outside, assemble
from cardd.config import Config
from cardd.config.renewal import renewed
from cardd.core.audit import Head
from cardd.core.lifecycle import PATIENCE, Outer, Part
from cardd.core.news import News
from cardd.core.recording import Pseudonyms
from cardd.core.trail import AuditTrail, ChangedSettings
from cardd.errors import (
    AuditKeyMissing,
    AuditKeyWeak,
    AuditUnavailable,
    ConfigInvalid,
    PromptError,
    SecretStoreUnavailable,
    StateUnavailable,
    StatusPageUnserved,
)
from cardd.formats.certificate import facts_of
from cardd.model import Peer, Plain, Question
from cardd.outward import Outward
from cardd.pcsc.lent import LentReaders
from cardd.pcsc.readers import PcscReaders
from cardd.ports import Clock, Handover, ReaderSource, SecretStore
from cardd.system import host, loopback_tls, pcsc_clients, systemd
from cardd.system.audit_heads import KEY, KEY_MIN, SECOND
from cardd.system.audit_sinks import AuditSinks
from cardd.system.audit_store import Custody, SqliteAuditLog
from cardd.system.browsers import BrowserWatch
from cardd.system.desktops import KnownDesktops
from cardd.system.host import SystemClock
from cardd.system.listening import address_of, listen
from cardd.system.logind import DesktopEvent, Desktops, Logind
from cardd.system.outgoing import RevocationCache, RevocationHttp, TimestampHttp, outward_of
from cardd.system.peer import has_left, is_our_child, outer_peer_of, program_of, program_peer_of
from cardd.system.people import Accounts
from cardd.system.private import keep_others_out, refuse_exposed_directory
from cardd.system.programs import ProgramWatch
from cardd.system.secrets import OsSecrets
from cardd.system.store import FileStore
from cardd.worker import Background

TOLD_MAX = 256  # programs that came as agents of some user
AGENT_COMES_WITHIN = 600.0  # seconds for which a refused agent is still told to its user
STATUS_MAX = 200  # characters of names in the status line
STOP_MAX = 9.0  # seconds, below the TimeoutStopSec of cardd.service

Load = Callable[[], Config]

log = logging.getLogger(__name__)


class LocalAudit(Part):
    """The audit log of this machine, sealed where that is configured; ``told`` hears of each head."""

    def __init__(self, config: Config, clock: Clock, secrets: SecretStore, told: Callable[[Head], None]) -> None:
        self._config = config
        self._secrets = secrets
        self._background = Background()
        self._turn = asyncio.Lock()  # each compares with what the one before has kept
        second = config.state.directory / SECOND
        custody = Custody(second, goes_on=config.audit.broken == "record", told=told)
        self.log = SqliteAuditLog(config.audit.directory, clock, custody)

    async def start(self) -> None:
        """Have the log's head sealed. Raises AuditKeyMissing, AuditKeyWeak."""
        if not self._config.audit.sealed:
            return
        try:
            key = await self._secrets.get(KEY)
        except SecretStoreUnavailable as error:
            raise AuditKeyMissing(why=error.why) from error
        if key is None:
            raise AuditKeyMissing(why=KEY)
        if len(key) < KEY_MIN:  # an empty one would seal nothing
            raise AuditKeyWeak(size=len(key), least=KEY_MIN)
        self.log.seal_with(key)

    async def watch(self) -> None:
        """Open the log, in the background."""
        self._background.start(self._open(self._config))

    async def stop(self) -> None:
        """Close the log."""
        await self._background.settle()  # a daemon that is stopped as soon as it has started
        await self.log.close()

    async def _open(self, config: Config) -> None:
        """Tell at once, and not with the first signature, that the log is not as it was left."""
        found: AuditUnavailable | StateUnavailable | None = None
        async with self._turn:
            try:
                await self.log.open()
            except (AuditUnavailable, StateUnavailable) as broken:
                found = broken
            if found is None:
                await self._record(config)
        if found is not None:
            told = found.told("en")
            log.error("%s: %s %s", Plain(found.code), told.detail, told.remedy)

    def reconfigured(self, config: Config) -> None:
        """Give what changed a row, after those of the start and of the reloads before."""

        async def record() -> None:
            async with self._turn:
                await self._record(config)

        self._background.start(record())

    async def _record(self, config: Config) -> None:
        store = FileStore(config.state.directory)
        await ChangedSettings(config, store, Pseudonyms(store)).record(self.log)


class Agents(Part):
    """The desktops' agents, and what they show. ``trail`` returns where they are recorded.

    ``link`` returns the status page's address for a user, None where no page is served; ``tray`` has a user's tray
    shown over a connection.
    """

    def __init__(
        self,
        config: Config,
        trail: Callable[[], AuditTrail],
        link: Callable[[int], str | None],
        armed_after: float,
        *,
        tray: Callable[[int, str, socket.socket], Kept | None] = no_tray,
    ) -> None:
        self._timeout = config.prompt.timeout
        self._trail = trail
        self._programs: dict[int, str] = {}
        self._told: set[tuple[int, str]] = set()
        self._reports = Background()
        self.lent = LentReaders(is_allowed=config.access.lent_readers)
        self.desktops = KnownDesktops(is_any_agent=config.prompt.agents == "any")
        self.server = AgentServer(
            desktops=self.desktops,
            on_refused=self.refused,
            on_change=self._changed,
            link=link,
            is_our_child=is_our_child,
            lend=self.lent.lend,
            tray=tray,
        )
        pinentry = config.prompt.pinentry
        self.dialogs = Dialogs(
            program=str(pinentry) if pinentry else None,
            timeout=config.prompt.timeout,
            agents=self.server,
            armed_after=armed_after,
        )

    def reconfigured(self, config: Config) -> None:
        """Have dialogs stay open for as long as is configured now."""
        self._timeout = self.dialogs.timeout = config.prompt.timeout

    async def stop(self) -> None:
        """Let the agents go."""
        await self._reports.cancel()
        await self.dialogs.stop()

    def refused(self, refused: RefusedAgent) -> None:
        """Record it, and tell its user once for each program: whoever tries all the time opens no window each time."""
        self._reports.start(self._report(refused))

    async def _report(self, refused: RefusedAgent) -> None:
        """Record that a program came as an agent that is none, and tell its user, once there is an agent to tell it."""
        uid, program = refused.uid, program_of(refused.pid) or ""
        code = "agent.not_installed" if refused.is_stranger else "agent.refused"
        self._trail().agent("agent.register", uid, program, code=code)
        if (uid, program) in self._told or len(self._told) >= TOLD_MAX:
            return
        question = Question("agent", uid, {"program": program, "pid": refused.pid})
        with contextlib.suppress(PromptError, TimeoutError):
            async with asyncio.timeout(AGENT_COMES_WITHIN):
                await self.server.has_come(uid)
            if (uid, program) in self._told:
                return
            self._told.add((uid, program))
            async with asyncio.timeout(self._timeout):
                await self.dialogs.notify(question)

    def _changed(self, change: AgentChange) -> None:
        if change.has_come:
            self._programs[change.pid] = program_of(change.pid) or ""
            self._trail().agent("agent.register", change.uid, self._programs[change.pid])
        else:
            self._trail().agent("agent.leave", change.uid, self._programs.pop(change.pid, ""))


class Daemon:
    """One cardd on this machine. ``sources`` replaces PC/SC: the simulator in process.

    ``authorities`` (DER) are that simulator's, trusted in verifications beside the configured ones. ``armed_after`` is
    for how many seconds a dialog takes neither a yes nor a PIN, ``patience`` how many all may take to stop; nothing
    outside this process changes either.
    """

    _p11: Sequence[socket.socket] = ()
    _programs: Sequence[tuple[socket.socket, str]] = ()

    def __init__(
        self,
        config: Config,
        sources: Sequence[ReaderSource] | None = None,
        authorities: Sequence[bytes] = (),
        *,
        armed_after: float = ARMED_AFTER,
        patience: float = PATIENCE,
    ) -> None:
        self._config, self._own = config, _own_directories(config)
        clock, secrets, logind = SystemClock(), OsSecrets(), Logind(self._desktop_changed, self._desktops_changed)
        outward, store = outward_of(config.network, secrets), FileStore(config.state.directory)
        sinks = AuditSinks(config.audit.sinks, os.uname().nodename, outward=outward)
        audit = LocalAudit(config, clock, secrets, sinks.tell)
        self._agents = agents = self._agents_of(config, armed_after)
        revocation, timestamps = RevocationHttp(outward=outward), _timestamps(config, outward)
        outside = Outside(
            clock=clock,
            audit=audit.log,
            store=store,
            secrets=secrets,
            prompter=agents.dialogs,
            people=Accounts(),
            sources=(*(sources if sources is not None else (PcscReaders(holder=pcsc_clients.holder),)), agents.lent),
            listen=self._listen,
            listen_p11=lambda: self._p11,
            handover=Handover(self._taken, systemd.keep),
            peer_of=outer_peer_of,
            program_peer_of=program_peer_of,
            has_left=has_left,
            program_files=ProgramWatch(agents.server.holders),
            browsers=BrowserWatch(config.web.browsers, agents.server.holders),
            revocation=revocation,
            answers=RevocationCache(config.state.directory / "revocation"),
            timestamps=timestamps,
            outward=outward,
            authorities=authorities,
            descriptors=host.descriptors_for_callers(),
            patience=patience,
            parts=(
                Outer("audit sinks", watching=sinks.watch, stopping=sinks.stop),
                audit,  # the last to stop but for its sinks: every other part may record until its end
                agents,
                self._news(clock),
                *_connected(logind, revocation, timestamps),
            ),
            tells_who_sits_here=True,
            others=pcsc_clients.others,
        )
        self.parts = assemble(config, outside)

    async def start(self) -> None:
        """Listen, so that the service manager may go on. Raises AddressInUse, StateUnavailable, StateDamaged."""
        logging.getLogger().addHandler(self.parts.logbook)
        await self.parts.lifecycle.start()

    async def watch(self) -> None:
        """Begin to watch readers and desktops: what the first answer does not need comes after it."""
        await self.parts.lifecycle.watch()

    async def reload(self, load: Load) -> str:
        """Take what may change of the configuration that is there now; return what became of it, in one line.

        What is open stays open. A configuration that cannot be used changes nothing.
        """
        try:
            wanted = await asyncio.to_thread(load)
        except ConfigInvalid as refused:
            refusal = refused.told("en")
        else:
            return self._renew(wanted)
        log.error("the configuration is not taken: %s %s", refusal.detail, refusal.remedy)
        return "The configuration on the disk is refused; that of before holds."

    def _renew(self, wanted: Config) -> str:
        taken = renewed(self._config, wanted)
        if taken.changed:
            self._config = taken.config
            self.parts.lifecycle.reconfigured(taken.config)
            log.info("the configuration is taken: %s", ", ".join(taken.changed))
        if taken.waiting:
            names = ", ".join(taken.waiting)
            log.warning("these settings want a restart: %s", names)
            return f"Wants a restart: {names[:STATUS_MAX]}"
        return "The configuration on the disk holds."

    async def stop(self) -> None:
        """Close the sessions, so that every PIN is wiped and every card de-authenticated, then everything else."""
        await self.parts.lifecycle.stop()
        logging.getLogger().removeHandler(self.parts.logbook)
        for directory in filter(None, self._own):
            os.close(directory)
        self._own.clear()

    def _listen(self) -> Sequence[tuple[socket.socket, Callable[[], ssl.SSLContext | None] | None]]:
        """Open what systemd did not pass; agents are accepted from now on. Raises AddressInUse, StateUnavailable."""
        listening = self._config.listen
        served = loopback_tls.Served(self._config.state.directory)
        if listening.https:
            served.context()  # what is wrong with it is told now
        p11 = self._config.p11.socket if self._config.p11.enabled else None
        unix = (listening.socket, listening.agent_socket)
        sockets = listen(systemd.take(), listening.tcp, *unix, https=listening.https, p11=p11)
        self._p11, self._programs = sockets.p11, sockets.programs
        self._agents.dialogs.start(sockets.agents)
        log.info(
            "cardd %s listens on %s",
            __version__,
            ", ".join(map(address_of, (*sockets.api, *sockets.https, *sockets.p11))),
        )
        return [*((one, None) for one in sockets.api), *((one, served.context) for one in sockets.https)]

    def _taken(self) -> list[tuple[int, str]]:
        """Return the connections to PKCS#11 of the daemon before this one, once."""
        taken, self._programs = self._programs, ()
        return [(one.detach(), process) for one, process in taken]

    def _agents_of(self, config: Config, armed_after: float) -> Agents:
        return Agents(config, lambda: self.parts.trail, self._status_page, armed_after, tray=self._tray)

    def _news(self, clock: Clock) -> News:
        return News(
            self._config,
            self._agents.server,
            clock,
            may_use=lambda uid, card: self.parts.readers.owners.may_use(uid, card),  # noqa: PLW0108 - the parts come later
            not_after=lambda certificate: facts_of(certificate).not_after,
        )

    def _status_page(self, uid: int) -> str | None:
        """Return an address that opens this user's status page once."""
        try:
            return self.parts.status_pages.link(Peer(uid)).value
        except StatusPageUnserved:
            return None

    def _tray(self, uid: int, language: str, connection: socket.socket) -> TrayLine:
        """Have this user's tray shown over an agent's connection."""
        link, begin = partial(self._status_page, uid), partial(self.parts.trays.open, uid, language)
        return TrayLine(connection, link, begin)

    def _desktop_changed(self, event: DesktopEvent, uid: int | None) -> None:
        """Rule 7: the screen is locked or unlocked, or the machine goes to sleep."""
        sessions = self.parts.sessions
        change = sessions.unlock_where if event is DesktopEvent.UNLOCK else sessions.lock_where
        change(lambda session: uid in (None, session.caller.peer.uid))

    def _desktops_changed(self, desktops: Desktops | None) -> None:
        """Rule 12: the readers belong to whoever sits at the machine now; each desktop has an agent."""
        self._agents.desktops.changed(desktops)
        self.parts.dialogs.away = away = desktops.away if desktops else frozenset()
        self.parts.sessions.screens_locked(away)
        self.parts.readers.owners.seated(desktops.seated if desktops else None)


def _connected(logind: Logind, revocation: RevocationHttp, timestamps: TimestampHttp | None) -> list[Part]:
    """Return what has connections of its own, which end with it."""
    return [
        Outer("logind", watching=logind.start, stopping=logind.stop),
        Outer("revocation", stopping=revocation.close),
        *([Outer("timestamps", stopping=timestamps.close)] if timestamps else []),
    ]


def _timestamps(config: Config, outward: Outward) -> TimestampHttp | None:
    timestamp = config.timestamp
    return TimestampHttp(timestamp.url, timeout=timestamp.timeout, outward=outward) if timestamp.url else None


def _own_directories(config: Config) -> list[int | None]:
    """Keep others out of state and audit log; return what is to be closed at the end."""
    held = []
    for directory in dict.fromkeys((config.state.directory, config.audit.directory)):
        refuse_exposed_directory(directory)
        held.append(keep_others_out(directory))
    return held


async def run(
    config: Config,
    load: Load,
    sources: Sequence[ReaderSource] | None = None,
    authorities: Sequence[bytes] = (),
    *,
    armed_after: float = ARMED_AFTER,
    patience: float = PATIENCE,
) -> None:
    """Serve until SIGTERM or SIGINT; SIGHUP has ``load`` read the configuration anew. Raises as ``Daemon.start``."""
    host.harden()
    faulthandler.enable()  # systemd's watchdog ends a stuck process by SIGABRT: the journal tells where it was
    host.throttle_exhaustion(asyncio.get_running_loop())
    stopping, reload = asyncio.Event(), asyncio.Event()
    for number, event in ((signal.SIGTERM, stopping), (signal.SIGINT, stopping), (signal.SIGHUP, reload)):
        asyncio.get_running_loop().add_signal_handler(number, event.set)
    daemon = Daemon(config, sources, authorities, armed_after=armed_after, patience=patience)
    heartbeat = systemd.Heartbeat()
    await daemon.start()
    systemd.ready()
    heartbeat.start()
    await daemon.watch()
    reloading = asyncio.create_task(_reload_when(reload, daemon, load))
    await stopping.wait()
    reloading.cancel()
    systemd.stopping()
    host.end_within(STOP_MAX)
    await daemon.stop()


async def _reload_when(asked: asyncio.Event, daemon: Daemon, load: Load) -> None:
    """Reload once for all that asked while the one before was under way."""
    while await asked.wait():
        asked.clear()
        systemd.reloading()
        systemd.ready(await daemon.reload(load))
