"""Tells a client's listeners that a dialog of its own request is open, so that it can say "look at your screen"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cardd.core.events import EventBus
from cardd.model import Choice, Event, PinQuestion, Question
from cardd.ports import Prompter
from cardd.secret import Secret


class AnnouncedPrompter:
    """A ``Prompter`` around another: publishes ``prompt.opened`` and ``prompt.closed`` to the question's caller only.

    The events name the topic, the opening one also how long the dialog may stay (``timeout``, seconds); nothing of what
    is asked, and no answer: that is told by the request's own answer.
    """

    def __init__(self, prompter: Prompter, events: EventBus) -> None:
        self._prompter = prompter
        self._events = events

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        """Read the PIN, announced."""
        with self._announced(question.question):
            await self._prompter.ask_pin(question, into)

    async def confirm(self, question: Question) -> Choice:
        """Ask, announced."""
        with self._announced(question):
            return await self._prompter.confirm(question)

    async def notify(self, question: Question) -> None:
        """Show the message, announced."""
        with self._announced(question):
            await self._prompter.notify(question)

    @contextmanager
    def _announced(self, question: Question) -> Iterator[None]:
        self._publish("prompt.opened", question, timeout=round(question.timeout))
        try:
            yield
        finally:
            self._publish("prompt.closed", question)

    def _publish(self, kind: str, question: Question, **more: int) -> None:
        if question.caller is not None:
            self._events.publish(Event(kind, {"topic": question.topic, **more}, to=question.caller))
