"""The agents of other desktops: who may show a dialog to whom.

An agent connects to the agents' socket and says ``OK cardd-agent LANGUAGE``. When its user must be asked, the daemon
speaks Assuan over that connection, and the agent passes it on to a pinentry of its own desktop. The kernel says whose
agent it is (SO_PEERCRED), and an agent is asked for its own user only.

A user has one agent, the process that came first, with as many connections as it likes; it stays until it ends. Any
other program of that user could show dialogs of its own and keep what is typed there: it is refused, and reported.
The same process tells which programs hold a connection (``cardd.agent.witness``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from cardd.agent import witness
from cardd.agent.assuan import Assuan
from cardd.agent.witness import Witness
from cardd.backoff import Seldom
from cardd.errors import BrowserUnseen, PromptUnavailable
from cardd.model import Holders

GREETING = "cardd-agent"
TAKEN = b"ERR"  # how the answer to an agent begins that is refused, for its user has one
GREETING_TIMEOUT = 5.0
AGENTS_MAX = 16  # of one user, those that have not yet greeted included
ACCEPT_PAUSE = 1.0
CREDENTIALS = struct.Struct("3i")
REPORT_PAUSE = 60.0  # seconds between two reports of refused agents of one user: who tries all the time fills no log

log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Waiting:
    """An agent that waits to be asked."""

    connection: socket.socket
    talk: Assuan
    language: str


@dataclass(frozen=True, slots=True)
class RefusedAgent:
    """A second program of this user that came as an agent."""

    uid: int
    pid: int


@dataclass(frozen=True, slots=True)
class AgentChange:
    """A user's agent came, or ended."""

    uid: int
    pid: int
    has_come: bool


class _Process:
    """The process that is a user's agent, known by a descriptor of it: its number may become another's."""

    def __init__(self, pid: int) -> None:
        """Raises OSError where there is no such process."""
        self.pid = pid
        self.handle = os.pidfd_open(pid)

    @property
    def has_ended(self) -> bool:
        """Return whether it runs no more."""
        return bool(select.select([self.handle], (), (), 0)[0])

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.handle)


class AgentServer:
    """The agents that wait, by user; of one agent's connections, the one that came last is asked first.

    ``on_refused`` is told of a program that is not the user's agent, at most once a minute for each user; ``on_change``
    of each agent that comes and that ends. ``is_our_child`` tells which processes the daemon itself started: they are
    nobody's agent.
    """

    def __init__(
        self,
        *,
        greeting_timeout: float = GREETING_TIMEOUT,
        on_refused: Callable[[RefusedAgent], None] = lambda _: None,
        on_change: Callable[[AgentChange], None] = lambda _: None,
        is_our_child: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self._greeting_timeout = greeting_timeout
        self._on_refused = on_refused
        self._on_change = on_change
        self._is_our_child = is_our_child
        self._processes: dict[int, _Process] = {}
        self._reported: dict[int, float] = {}
        self._agents: dict[int, list[_Waiting]] = {}
        self._witnesses: dict[int, Witness] = {}
        self._greeting: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[socket.socket] = []

    def start(self, listener: socket.socket) -> None:
        """Accept agents on this socket."""
        listener.setblocking(False)
        self._listeners.append(listener)
        self._spawn(listener)

    def waiting(self, uid: int) -> int:
        """Return how many agents of this user wait to be asked."""
        return len(self._agents.get(uid, ()))

    @asynccontextmanager
    async def conversation(self, uid: int) -> AsyncIterator[tuple[Assuan, str]]:
        """Talk to an agent of this user, in its language; afterwards this connection has served.

        Raises PromptUnavailable when none waits.
        """
        agents = self._agents.get(uid)
        if not agents:
            raise PromptUnavailable(why="cardd-agent")
        agent = agents[-1]
        self._forget(uid, agent)
        try:
            yield agent.talk, agent.language
        finally:
            agent.talk.close()

    async def holders(self, uid: int, sockets: Collection[int]) -> Holders:
        """Return the programs of this user that hold these sockets, as that user's agent sees them.

        Raises BrowserUnseen when there is no agent, or none that looks.
        """
        seen_by = self._witnesses.get(uid)
        if seen_by is None:
            raise BrowserUnseen
        try:
            return await seen_by.holders(sockets)
        except BrowserUnseen:
            if self._witnesses.get(uid) is seen_by:
                del self._witnesses[uid]
            seen_by.close()
            raise

    async def stop(self) -> None:
        """Let every agent go."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for uid in list(self._agents):
            for agent in list(self._agents.get(uid, ())):
                self._forget(uid, agent)
                agent.talk.close()
        for each in self._witnesses.values():
            each.close()
        self._witnesses.clear()
        for process in self._processes.values():
            asyncio.get_running_loop().remove_reader(process.handle)
            process.close()
        self._processes.clear()
        for listener in self._listeners:
            listener.close()

    def _spawn(self, listener: socket.socket) -> None:
        task = asyncio.ensure_future(self._accept(listener))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        unaccepted = Seldom(partial(log.error, "no file descriptor was left for an agent (%d attempts)"))
        while True:
            await asyncio.sleep(0)  # the loop turns, however many wait to be accepted
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError:  # this process has no file descriptor left
                unaccepted.note()
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            task = asyncio.ensure_future(self._welcome(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _welcome(self, connection: socket.socket) -> None:
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
        pid, uid, _ = CREDENTIALS.unpack(told)
        with contextlib.ExitStack() as refused:
            talk = Assuan(refused.enter_context(connection))
            if self._is_our_child(pid):
                return
            name, language = await self._greeted(uid, talk)
            if name not in (GREETING, witness.GREETING):
                return
            if not self._is_the_agent(uid, pid):
                self._report(RefusedAgent(uid, pid))
                with contextlib.suppress(OSError):
                    connection.send(TAKEN + b" 1 another agent\n")
                return
            if name == witness.GREETING:
                kept = socket.socket(fileno=connection.detach())
                kept.setblocking(False)
                self._keep_witness(uid, Witness(kept))
                talk.close()  # only what it received: the connection is the witness's
                return
            refused.pop_all()
        agent = _Waiting(connection, talk, language)
        self._agents.setdefault(uid, []).append(agent)
        # an agent that waits has nothing to say: whatever comes, its leaving included, ends it
        asyncio.get_running_loop().add_reader(connection, self._left, uid, agent)

    def _is_the_agent(self, uid: int, pid: int) -> bool:
        """Return whether this process is the user's agent; the first one becomes it, and the next when it has ended."""
        known = self._processes.get(uid)
        if known is not None and not known.has_ended:
            return known.pid == pid
        try:
            process = _Process(pid)
        except OSError:  # it has left meanwhile
            return False
        if known is not None:
            self._ended(uid, known)
        self._processes[uid] = process
        asyncio.get_running_loop().add_reader(process.handle, self._ended, uid, process)
        self._on_change(AgentChange(uid, pid, has_come=True))
        return True

    def _ended(self, uid: int, process: _Process) -> None:
        """Forget the user's agent, which runs no more."""
        asyncio.get_running_loop().remove_reader(process.handle)
        process.close()
        del self._processes[uid]
        if seen_by := self._witnesses.pop(uid, None):
            seen_by.close()
        self._on_change(AgentChange(uid, process.pid, has_come=False))

    def _keep_witness(self, uid: int, came: Witness) -> None:
        """Ask this connection from now on: the agent has one, and the one before is dead."""
        if before := self._witnesses.pop(uid, None):
            before.close()
        self._witnesses[uid] = came

    def _report(self, refused: RefusedAgent) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._reported.get(refused.uid, now):
            return
        self._reported[refused.uid] = now + REPORT_PAUSE
        log.warning("user %d has an agent: process %d was refused", refused.uid, refused.pid)
        self._on_refused(refused)

    async def _greeted(self, uid: int, talk: Assuan) -> tuple[str, str]:
        """Return the name that an agent greets with, and its language; empty for what is none, or one too many."""
        if self._greeting[uid] + self.waiting(uid) >= AGENTS_MAX:
            return "", ""
        self._greeting[uid] += 1
        try:
            async with asyncio.timeout(self._greeting_timeout):
                name, _, language = (await talk.greeting()).partition(" ")
        except (PromptUnavailable, TimeoutError):
            return "", ""
        finally:
            self._greeting[uid] -= 1
        return name, language

    def _left(self, uid: int, agent: _Waiting) -> None:
        self._forget(uid, agent)
        agent.talk.close()

    def _forget(self, uid: int, agent: _Waiting) -> None:
        agents = self._agents.get(uid, [])
        if agent in agents:
            asyncio.get_running_loop().remove_reader(agent.connection)
            agents.remove(agent)
            if not agents:
                del self._agents[uid]
