"""The process around the parts: this machine's own things, sockets, signals and the word to the service manager."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import Sequence

from cardd.agent.dialogs import Dialogs
from cardd.agent.server import AgentChange, AgentServer, RefusedAgent
from cardd.assembly import Outside, assemble
from cardd.config import Config
from cardd.core.lifecycle import Background, Outer
from cardd.core.recording import Pseudonyms
from cardd.core.trail import ChangedSettings
from cardd.errors import AuditKeyMissing, AuditUnavailable, PromptError, SecretStoreUnavailable, StateUnavailable
from cardd.model import Question
from cardd.pcsc.readers import PcscReaders
from cardd.ports import ReaderSource
from cardd.system import host, pcsc_clients, systemd
from cardd.system.audit_heads import KEY, SECOND
from cardd.system.audit_sinks import AuditSinks
from cardd.system.audit_store import Custody, SqliteAuditLog
from cardd.system.browsers import BrowserWatch
from cardd.system.desktops import KnownDesktops
from cardd.system.host import SystemClock
from cardd.system.listening import listen
from cardd.system.logind import DesktopEvent, Desktops, Logind
from cardd.system.peer import has_left, is_our_child, outer_peer_of, program_of
from cardd.system.people import Accounts
from cardd.system.private import refuse_exposed_directory
from cardd.system.revocation import RevocationCache, RevocationHttp
from cardd.system.secrets import OsSecrets
from cardd.system.store import FileStore
from cardd.system.timestamping import TimestampHttp

AGENT_COMES_WITHIN = 600.0  # seconds for which a refused agent is still told to its user
STOP_MAX = 9.0  # seconds, below the TimeoutStopSec of cardd.service

log = logging.getLogger(__name__)


class Daemon:
    """One cardd on this machine. ``sources`` replaces PC/SC: the simulator in process.

    ``authorities`` (DER) are that simulator's, trusted in verifications beside the configured ones.
    """

    def __init__(
        self, config: Config, sources: Sequence[ReaderSource] | None = None, authorities: Sequence[bytes] = ()
    ) -> None:
        self._config = config
        for directory in (config.state.directory, config.audit.directory):
            refuse_exposed_directory(directory)
        pinentry, timestamp = config.prompt.pinentry, config.timestamp
        self._desktops = KnownDesktops(is_any_agent=config.prompt.agents == "any")
        self._agents = AgentServer(
            desktops=self._desktops,
            on_refused=self._agent_refused,
            on_change=self._agent_changed,
            is_our_child=is_our_child,
        )
        self._agent_programs: dict[int, str] = {}
        self._dialogs = Dialogs(
            program=str(pinentry) if pinentry else None, timeout=config.prompt.timeout, agents=self._agents
        )
        self._reports: set[asyncio.Task[None]] = set()
        self._background = Background()
        clock = SystemClock()
        self._secrets = OsSecrets()
        self._sinks = AuditSinks(config.audit.sinks, os.uname().nodename)
        second = config.state.directory / SECOND
        custody = Custody(second, goes_on=config.audit.broken == "record", told=self._sinks.tell)
        self._audit = audit = SqliteAuditLog(config.audit.directory, clock, custody)
        logind = Logind(self._desktop_changed, self._desktops_changed)
        revocation = RevocationHttp()
        timestamps = TimestampHttp(timestamp.url, timeout=timestamp.timeout) if timestamp.url else None
        outside = Outside(
            clock=clock,
            audit=audit,
            store=FileStore(config.state.directory),
            secrets=self._secrets,
            prompter=self._dialogs,
            people=Accounts(),
            sources=sources if sources is not None else (PcscReaders(holder=pcsc_clients.holder),),
            listen=self._listen,
            peer_of=outer_peer_of,
            has_left=has_left,
            browsers=BrowserWatch(config.web.browsers, self._agents.holders),
            revocation=revocation,
            answers=RevocationCache(config.state.directory / "revocation"),
            timestamps=timestamps,
            authorities=authorities,
            descriptors=host.descriptors_for_callers(),
            parts=(
                Outer("audit sinks", watching=self._sinks.watch, stopping=self._sinks.stop),
                # the last to stop but for its sinks: every other part may record until its end
                Outer("audit", starting=self._seal_audit, watching=self._open_audit, stopping=self._close_audit),
                Outer("agents", stopping=self._stop_agents),
                Outer("logind", watching=logind.start, stopping=logind.stop),
                Outer("revocation", stopping=revocation.close),
                *([Outer("timestamps", stopping=timestamps.close)] if timestamps else []),
            ),
            tells_who_sits_here=True,
        )
        self.parts = assemble(config, outside)

    async def start(self) -> None:
        """Listen, so that the service manager may go on. Raises AddressInUse, StateUnavailable, StateDamaged."""
        await self.parts.lifecycle.start()

    async def watch(self) -> None:
        """Begin to watch readers and desktops: what the first answer does not need comes after it."""
        await self.parts.lifecycle.watch()

    async def stop(self) -> None:
        """Close the sessions, so that every PIN is wiped and every card de-authenticated, then everything else."""
        await self.parts.lifecycle.stop()

    def _listen(self) -> Sequence[socket.socket]:
        """Open what systemd did not pass; agents are accepted from now on. Raises AddressInUse, StateUnavailable."""
        listening = self._config.listen
        sockets = listen(systemd.take(), listening.tcp, listening.socket, listening.agent_socket)
        self._dialogs.start(sockets.agents)
        return sockets.api

    async def _seal_audit(self) -> None:
        """Have the log's head sealed where that is configured. Raises AuditKeyMissing."""
        if not self._config.audit.sealed:
            return
        try:
            key = await self._secrets.get(KEY)
        except SecretStoreUnavailable as error:
            raise AuditKeyMissing(why=error.why) from error
        if key is None:
            raise AuditKeyMissing(why=KEY)
        self._audit.seal_with(key)

    async def _open_audit(self) -> None:
        self._background.start(self._look_at_audit())

    async def _close_audit(self) -> None:
        await self._background.settle()  # a daemon that is stopped as soon as it has started
        await self._audit.close()

    async def _look_at_audit(self) -> None:
        """Tell at once, and not with the first signature, that the log is not as it was left."""
        found: AuditUnavailable | StateUnavailable | None = None
        try:
            await self._audit.open()
        except (AuditUnavailable, StateUnavailable) as broken:
            found = broken
        if found is not None:
            told = found.told("en")
            log.error("%s: %s %s", found.code, told.detail, told.remedy)
            return
        store = FileStore(self._config.state.directory)
        await ChangedSettings(self._config, store, Pseudonyms(store)).record(self.parts.audit)

    def _agent_refused(self, refused: RefusedAgent) -> None:
        report = asyncio.ensure_future(self._report_agent(refused))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _report_agent(self, refused: RefusedAgent) -> None:
        """Record that a program came as an agent that is none, and tell its user, once there is an agent to tell it."""
        uid, program = refused.uid, program_of(refused.pid) or ""
        code = "agent.not_installed" if refused.is_stranger else "agent.refused"
        self.parts.trail.agent("agent.register", uid, program, code=code)
        question = Question("agent", uid, {"program": program, "pid": refused.pid})
        with contextlib.suppress(PromptError, TimeoutError):
            async with asyncio.timeout(AGENT_COMES_WITHIN):
                await self._agents.has_come(uid)
            async with asyncio.timeout(self._config.prompt.timeout):
                await self._dialogs.notify(question)

    def _agent_changed(self, change: AgentChange) -> None:
        if change.has_come:
            self._agent_programs[change.pid] = program_of(change.pid) or ""
            self.parts.trail.agent("agent.register", change.uid, self._agent_programs[change.pid])
        else:
            self.parts.trail.agent("agent.leave", change.uid, self._agent_programs.pop(change.pid, ""))

    async def _stop_agents(self) -> None:
        for report in self._reports:
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)
        await self._dialogs.stop()

    def _desktop_changed(self, event: DesktopEvent, uid: int | None) -> None:
        """Rule 7: the screen is locked or unlocked, or the machine goes to sleep."""
        sessions = self.parts.sessions
        change = sessions.unlock_where if event is DesktopEvent.UNLOCK else sessions.lock_where
        change(lambda session: uid in (None, session.caller.peer.uid))

    def _desktops_changed(self, desktops: Desktops | None) -> None:
        """Rule 12: the readers belong to whoever sits at the machine now; each desktop has an agent."""
        self._desktops.changed(desktops)
        self.parts.readers.owners.seated(desktops.seated if desktops else None)


async def run(config: Config, sources: Sequence[ReaderSource] | None = None, authorities: Sequence[bytes] = ()) -> None:
    """Serve until SIGTERM or SIGINT. Raises what ``Daemon.start`` raises."""
    host.harden()
    host.tell_exhaustion_seldom(asyncio.get_running_loop())
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGHUP, log.info, "SIGHUP is ignored: settings are read at start"
    )
    daemon = Daemon(config, sources, authorities)
    await daemon.start()
    systemd.ready()
    await daemon.watch()
    await stopping.wait()
    systemd.stopping()
    host.end_within(STOP_MAX)
    await daemon.stop()
