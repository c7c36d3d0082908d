"""The agents of other desktops: who may show a dialog to whom.

An agent connects to the agents' socket and says ``OK cardd-agent LANGUAGE``. When its user must be asked, the daemon
speaks Assuan over that connection, and the agent passes it on to a pinentry of its own desktop. The kernel says whose
agent it is (SO_PEERCRED), and an agent is asked for its own user only.

A desktop has one agent, the process that came first, with as many connections as it likes; it stays until it ends. Any
other program of that user could show dialogs of its own and keep what is typed there: it is refused, and reported, and
so is one that is not the installed agent. A user with several desktops is asked on the one that is on the screen.
The same process tells which programs hold a connection (``cardd.agent.witness``), shows notifications
(``cardd.agent.notices``) and an item in the tray (``cardd.agent.tray``), and lends the readers of a remote desktop
(``cardd.agent.readers``).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import NamedTuple, Protocol

from cardd.agent import notices, readers, tray, witness
from cardd.agent.assuan import Assuan, readable
from cardd.agent.notices import Notices
from cardd.agent.processes import AgentDesktops, AgentProcess, OneDesktop
from cardd.agent.witness import Witness
from cardd.backoff import Throttle
from cardd.errors import BrowserUnseen, PromptUnavailable
from cardd.model import Holders
from cardd.values import Record, Value
from cardd.worker import Background

GREETING = "cardd-agent"
WITH_PIN = (GREETING, readers.GREETING)  # of one process; what looks at the desktop may be another
# how the answer to an agent begins that is refused: its desktop has one, or it is not the installed one
TAKEN, NOT_INSTALLED = b"ERR 1", b"ERR 2"
GREETINGS = (GREETING, witness.GREETING, notices.GREETING, tray.GREETING, readers.GREETING)
GREETING_TIMEOUT = 5.0
AGENTS_MAX = 16  # of one user, those that have not yet greeted included
SILENT_MAX = 256  # of all users, that have not yet greeted: with one more the oldest is sent away
ACCEPT_PAUSE = 1.0
REPORT_PAUSE = 60.0  # seconds between two reports of refused agents of one user: who tries all the time fills no log

log = logging.getLogger(__name__)


class _Waiting(Record, eq=False):
    """An agent that waits to be asked."""

    connection: socket.socket
    talk: Assuan
    language: str
    desktop: str


class RefusedAgent(Value):
    """A program of this user that came as an agent: beside the desktop's own, or while it ``is_stranger``."""

    uid: int
    pid: int
    is_stranger: bool = False


class AgentChange(Value):
    """A desktop's agent came, or ended."""

    uid: int
    pid: int
    has_come: bool


class Kept(Protocol):
    """What goes on over one connection of an agent, until it is closed."""

    def close(self) -> None:
        """Hang up."""
        ...


def no_loan(_uid: int, connection: socket.socket) -> None:
    """Send away who would lend readers."""
    connection.close()


def no_tray(_uid: int, _language: str, connection: socket.socket) -> None:
    """Send away who would show a tray."""
    connection.close()


class _Post(NamedTuple):
    """One of a desktop's two posts: who shows the dialogs and lends readers, and who looks at programs and notifies."""

    uid: int
    desktop: str
    has_dialogs: bool


class AgentServer:
    """The agents that wait, by user; the one on the screen is asked first, and of its connections the last that came.

    ``on_refused`` is told of a program that is not a desktop's agent, at most once a minute for each user;
    ``on_change`` of each agent that comes and that ends. ``link`` returns the status page's address for a user, None
    where there is none. ``is_our_child`` tells which processes the daemon itself
    started: they are nobody's agent. ``lend`` takes the readers that a user's agent lends over a connection; ``tray``
    has a user's tray shown over one, in a language.
    """

    def __init__(
        self,
        *,
        desktops: AgentDesktops | None = None,
        greeting_timeout: float = GREETING_TIMEOUT,
        witness_timeout: float = witness.TIMEOUT,
        silent_max: int = SILENT_MAX,
        on_refused: Callable[[RefusedAgent], None] = lambda _: None,
        on_change: Callable[[AgentChange], None] = lambda _: None,
        link: Callable[[int], str | None] = lambda _: None,
        is_our_child: Callable[[int], bool] = lambda _: False,
        lend: Callable[[int, socket.socket], Kept | None] = no_loan,
        tray: Callable[[int, str, socket.socket], Kept | None] = no_tray,
    ) -> None:
        self._desktops = desktops or OneDesktop()
        self._greeting_timeout = greeting_timeout
        self._witness_timeout = witness_timeout
        self._silent_max = silent_max
        self._on_refused = on_refused
        self._on_change = on_change
        self._link = link
        self._is_our_child = is_our_child
        self._lend = lend
        self._tray = tray
        self._processes: dict[_Post, AgentProcess] = {}
        self._arrivals: dict[int, asyncio.Event] = {}
        self._reported: dict[int, float] = {}
        self._agents: dict[int, list[_Waiting]] = {}
        self._witnesses: dict[tuple[int, str], Witness] = {}
        self._notices: dict[tuple[int, str], Notices] = {}
        self._loans: dict[tuple[int, str], Kept] = {}
        self._trays: dict[tuple[int, str], Kept] = {}
        self._greeting: Counter[int] = Counter()
        self._silent: dict[Assuan, asyncio.Task[None]] = {}  # in the order in which they came
        self._background = Background()
        self._listeners: list[socket.socket] = []

    def start(self, listener: socket.socket) -> None:
        """Accept agents on this socket."""
        listener.setblocking(False)
        self._listeners.append(listener)
        self._background.start(self._accept(listener))

    def waiting(self, uid: int) -> int:
        """Return how many agents of this user wait to be asked."""
        return len(self._agents.get(uid, ()))

    def has_agent(self, uid: int) -> bool:
        """Return whether an agent of this user runs, though it may be between two dialogs."""
        return any(
            post.uid == uid and post.has_dialogs and not process.has_ended for post, process in self._processes.items()
        )

    async def has_come(self, uid: int) -> None:
        """Return once an agent of this user waits."""
        if not self.waiting(uid):
            await self._arrivals.setdefault(uid, asyncio.Event()).wait()

    @asynccontextmanager
    async def conversation(self, uid: int) -> AsyncIterator[tuple[Assuan, str]]:
        """Talk to an agent of this user, in its language; afterwards this connection has served.

        Raises PromptUnavailable when none waits.
        """
        agents = self._agents.get(uid)
        if not agents:
            raise PromptUnavailable(why="cardd-agent")
        agent = next((one for one in reversed(agents) if self._desktops.is_shown(one.desktop)), agents[-1])
        self._forget(uid, agent)
        try:
            yield agent.talk, agent.language
        finally:
            agent.talk.close()

    async def holders(self, uid: int, sockets: Collection[int]) -> Holders:
        """Return the programs of this user that hold these sockets, as that user's agent sees them.

        Raises BrowserUnseen when there is no agent, or none that looks.
        """
        own = [key for key in self._witnesses if key[0] == uid]
        if not own:
            raise BrowserUnseen
        key = next((each for each in own if self._desktops.is_shown(each[1])), own[-1])
        seen_by = self._witnesses[key]
        try:
            return await seen_by.holders(sockets)
        except BrowserUnseen:
            if self._witnesses.get(key) is seen_by:
                del self._witnesses[key]
            seen_by.close()
            raise

    def tell(self, uid: int, topic: str, params: Mapping[str, str]) -> bool:
        """Have this user told something by a notification, on the desktop that is on the screen, if any is.

        Return whether there is an agent that shows some.
        """
        own = [key for key in self._notices if key[0] == uid]
        shown = [key for key in own if self._desktops.is_shown(key[1])] or own
        told = [self._notices[key].tell(topic, params) for key in shown]
        return any(told)

    def told(self) -> set[int]:
        """Return the users whose agents show notifications."""
        return {uid for uid, _ in self._notices}

    async def stop(self) -> None:
        """Let every agent go."""
        await self._background.cancel()
        for uid in list(self._agents):
            for agent in list(self._agents.get(uid, ())):
                self._forget(uid, agent)
                agent.talk.close()
        for kind in self._kinds().values():
            for each in kind.values():
                each.close()
        self._witnesses.clear()
        self._notices.clear()
        self._loans.clear()
        self._trays.clear()
        for process in self._processes.values():
            asyncio.get_running_loop().remove_reader(process.handle)
            process.close()
        self._processes.clear()
        for listener in self._listeners:
            listener.close()

    async def _accept(self, listener: socket.socket) -> None:
        unaccepted = Throttle(partial(log.error, "no file descriptor was left for an agent (%d attempts)"))
        while True:
            await asyncio.sleep(0)  # the loop turns, however many wait to be accepted
            await readable(listener)  # loop.sock_accept() loses a connection that comes while it is cancelled
            try:
                connection, _ = listener.accept()
            except BlockingIOError:  # it has left meanwhile
                continue
            except OSError:  # this process has no file descriptor left
                unaccepted.note()
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            self._background.start(self._welcome(connection)).add_done_callback(partial(_welcomed, connection))

    async def _welcome(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as refused:
            talk = Assuan(refused.enter_context(connection))
            try:
                process = AgentProcess(connection)
            except OSError:  # it has left meanwhile
                return
            refused.callback(process.close)
            uid, pid = process.uid, process.pid
            if self._is_our_child(pid):
                return
            name, language = await self._greeted(uid, talk)
            if name not in GREETINGS or process.has_ended:
                return
            desktop = self._desktops.desktop_of(uid, pid)
            is_stranger = not self._desktops.is_installed_agent(uid, pid)
            if process.has_ended:  # what was looked at may have been another process's
                return
            if is_stranger or not self._is_the_agent(_Post(uid, desktop, name in WITH_PIN), process):
                self._report(RefusedAgent(uid, pid, is_stranger))
                with contextlib.suppress(OSError):
                    connection.send(NOT_INSTALLED + b" other agent\n" if is_stranger else TAKEN + b" another agent\n")
                return
            if name != GREETING:
                kept = socket.socket(fileno=connection.detach())
                kept.setblocking(False)
                self._keep(name, (uid, desktop), language, kept)
                talk.close()  # only what it received: the connection is kept
                refused.pop_all()
                return
            refused.pop_all()
        agent = _Waiting(connection, talk, language, desktop)
        self._agents.setdefault(uid, []).append(agent)
        if arrival := self._arrivals.pop(uid, None):
            arrival.set()
        # an agent that waits has nothing to say: whatever comes, its leaving included, ends it
        asyncio.get_running_loop().add_reader(connection, self._left, uid, agent)

    def _is_the_agent(self, post: _Post, process: AgentProcess) -> bool:
        """Return whether this process is the desktop's agent; the first is, and the next one when it has ended.

        ``process`` is kept, or closed where it is known already.
        """
        known = self._processes.get(post)
        if known is not None and not known.has_ended:
            if known.pid != process.pid:
                return False
            process.close()
            return True
        if known is not None:
            self._ended(post, known)
        self._processes[post] = process
        asyncio.get_running_loop().add_reader(process.handle, self._ended, post, process)
        if post.has_dialogs:
            self._on_change(AgentChange(process.uid, process.pid, has_come=True))
        return True

    def _ended(self, post: _Post, process: AgentProcess) -> None:
        """Forget the desktop's agent, which runs no more."""
        asyncio.get_running_loop().remove_reader(process.handle)
        process.close()
        del self._processes[post]
        key = post.uid, post.desktop
        for name, kind in self._kinds().items():
            if (name in WITH_PIN) == post.has_dialogs and key in kind:
                kind[key].close()
        if post.has_dialogs:
            self._loans.pop(key, None)
            self._on_change(AgentChange(process.uid, process.pid, has_come=False))
            return
        self._witnesses.pop(key, None)
        self._notices.pop(key, None)
        self._trays.pop(key, None)

    def _kinds(self) -> dict[str, Mapping[tuple[int, str], Kept]]:
        """Return what goes on over connections that are no dialogs, by their greetings."""
        return {
            witness.GREETING: self._witnesses,
            notices.GREETING: self._notices,
            readers.GREETING: self._loans,
            tray.GREETING: self._trays,
        }

    def _keep(self, name: str, key: tuple[int, str], language: str, came: socket.socket) -> None:
        """Use this connection from now on: the agent has one of each kind, and the one before is dead."""
        if before := self._kinds()[name].get(key):
            before.close()
        if name == witness.GREETING:
            self._witnesses[key] = Witness(came, self._witness_timeout)
        elif name == notices.GREETING:
            self._notices[key] = Notices(came, partial(self._link, key[0]))
        elif name == readers.GREETING:
            if loan := self._lend(key[0], came):
                self._loans[key] = loan
        elif shown := self._tray(key[0], language, came):
            self._trays[key] = shown

    def _report(self, refused: RefusedAgent) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._reported.get(refused.uid, now):
            return
        self._reported[refused.uid] = now + REPORT_PAUSE
        why = "is not the installed agent" if refused.is_stranger else "is not the desktop's agent"
        log.warning("process %d of user %d %s, and was refused", refused.pid, refused.uid, why)
        self._on_refused(refused)

    async def _greeted(self, uid: int, talk: Assuan) -> tuple[str, str]:
        """Return the name that an agent greets with, and its language; empty for what is none, or one too many."""
        if self._greeting[uid] + self.waiting(uid) >= AGENTS_MAX:
            return "", ""
        self._greeting[uid] += 1
        try:
            with self._among_the_silent(talk):
                async with asyncio.timeout(self._greeting_timeout):
                    name, _, language = (await talk.greeting()).partition(" ")
            await self._desktops.settle()
        except (PromptUnavailable, TimeoutError):
            return "", ""
        finally:
            self._greeting[uid] -= 1
        return name, language

    @contextmanager
    def _among_the_silent(self, talk: Assuan) -> Iterator[None]:
        """Count who says nothing yet: one person may come as thousands of OS users, with two descriptors for each."""
        if len(self._silent) >= self._silent_max:
            oldest = next(iter(self._silent))
            self._silent.pop(oldest).cancel()
        if task := asyncio.current_task():
            self._silent[talk] = task
        try:
            yield
        finally:
            self._silent.pop(talk, None)

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


def _welcomed(connection: socket.socket, task: asyncio.Task[None]) -> None:
    if task.cancelled():  # perhaps before it had begun
        connection.close()
