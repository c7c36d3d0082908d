"""The dialog that a question becomes: an agent's where one serves that user, else one of this process's own.

Whoever asks sees to it that a user is asked one thing at a time (``cardd.core.dialog_lines``).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

from cardd.agent import pinentry
from cardd.agent.arming import ARMED_AFTER, Arming
from cardd.agent.assuan import Assuan
from cardd.agent.server import AgentServer
from cardd.agent.terminal import TerminalPrompter, has_terminal
from cardd.agent.texts import deciding
from cardd.errors import CarddError, ConsentTimeout, PinCancelled, PinTimeout, PromptUnavailable
from cardd.i18n import language_of, locale_of
from cardd.model import Choice, PinQuestion, Question
from cardd.secret import Secret

T = TypeVar("T")

GRACE = 2.0  # seconds that a pinentry has to give up by itself before we do


class Dialogs:
    """``cardd.ports.Prompter``. ``program`` is the configured pinentry, ``timeout`` the longest a dialog may stay.

    A dialog takes neither a yes nor a PIN in its first seconds, ``armed_after`` (``cardd.agent.arming``).
    """

    def __init__(
        self,
        *,
        program: str | None = None,
        timeout: float = 120.0,
        agents: AgentServer | None = None,
        armed_after: float = ARMED_AFTER,
    ) -> None:
        self._program = program
        self.timeout = timeout
        self._agents = agents or AgentServer()
        self._arming = Arming(armed_after)

    def start(self, listeners: Iterable[socket.socket]) -> None:
        """Accept agents on these sockets."""
        for listener in listeners:
            self._agents.start(listener)

    async def stop(self) -> None:
        """Let the agents go."""
        await self._agents.stop()

    def ensure_reachable(self, uid: int) -> None:
        """Raise PromptUnavailable where no dialog could open for this user."""
        if self._agents.has_agent(uid):
            return
        if uid != os.getuid():
            raise PromptUnavailable(why="cardd-agent")
        if pinentry.find_pinentry(self._program, os.environ) is None and not has_terminal():
            raise PromptUnavailable(why="pinentry")

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        """Read the PIN into ``into``. Raises PinCancelled, PinTimeout, PinFormat, PromptUnavailable."""
        asked = question.question
        async with self._limit(asked, PinTimeout) as left:
            if deciding(asked) is not asked and await self._confirm(asked, left) is Choice.NO:
                raise PinCancelled  # a PIN dialog has no button for the rest of the documents
            await self._ask(
                asked,
                lambda talk, language: pinentry.ask_pin(talk, question, language, left, into, arming=self._arming),
                lambda terminal: terminal.ask_pin(question, left, into),
            )

    async def confirm(self, question: Question) -> Choice:
        """Return the choice that was made. Raises ConsentTimeout, PromptUnavailable."""
        async with self._limit(question, ConsentTimeout) as left:
            return await self._confirm(question, left)

    async def notify(self, question: Question) -> None:
        """Show a message until it is closed or the caller is cancelled. Raises PromptUnavailable."""
        await self._ask(
            question,
            lambda talk, language: pinentry.notify(talk, question, language),
            lambda terminal: terminal.notify(question),
        )

    async def _confirm(self, question: Question, left: Callable[[], int]) -> Choice:
        return await self._ask(
            question,
            lambda talk, language: pinentry.confirm(talk, question, language, left, arming=self._arming),
            lambda terminal: terminal.confirm(question, left),
        )

    async def _ask(
        self,
        question: Question,
        by_pinentry: Callable[[Assuan, str], Awaitable[T]],
        by_terminal: Callable[[TerminalPrompter], Awaitable[T]],
    ) -> T:
        if self._agents.waiting(question.uid):
            async with self._agents.conversation(question.uid) as (talk, language):
                return await by_pinentry(talk, question.language or language_of(language))
        if question.uid != os.getuid():
            raise PromptUnavailable(why="cardd-agent")
        language = question.language or language_of(locale_of(os.environ))
        program = pinentry.find_pinentry(self._program, os.environ)
        if program is None:
            return await by_terminal(TerminalPrompter(language, self._arming))
        async with pinentry.conversation(program) as talk:
            await pinentry.set_options(talk, pinentry.options(os.environ))
            return await by_pinentry(talk, language)

    @asynccontextmanager
    async def _limit(self, question: Question, late: type[CarddError]) -> AsyncIterator[Callable[[], int]]:
        """Give what tells how many seconds are left; end a dialog that its program does not end. Raises ``late``."""
        seconds = max(1.0, question.timeout if question.own_time else min(question.timeout, self.timeout))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        try:
            async with asyncio.timeout_at(end + GRACE):
                yield lambda: max(1, round(end - loop.time()))
        except TimeoutError:
            raise late from None
