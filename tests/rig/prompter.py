"""A person at the workstation who answers as the test says, without any dialog."""

from __future__ import annotations

import asyncio

from cardd.errors import CarddError, PinCancelled, PromptUnavailable
from cardd.model import Choice, PinQuestion, Question
from cardd.secret import Secret


class ScriptedPrompter:
    """Implements ``ports.Prompter``.

    ``pins`` are typed one after the other, none left means cancel; ``choices`` answer the next questions, ``choice``
    every further one; ``fault`` is raised instead when it is set; while ``attentive`` is cleared, dialogs stay open.
    ``questions`` and ``pin_questions`` are what was asked, in order; ``is_asked`` is set whenever a dialog opens;
    ``open`` has the topics of the dialogs that are open; ``typed_into`` the secrets that what was typed went to.
    """

    def __init__(self, *pins: str) -> None:
        self.pins = list(pins)
        self.choice = Choice.YES
        self.choices: list[Choice] = []
        self.fault: CarddError | None = None
        self.attentive = asyncio.Event()
        self.attentive.set()
        self.is_asked = asyncio.Event()
        self.questions: list[Question] = []
        self.pin_questions: list[PinQuestion] = []
        self.open: list[str] = []
        self.typed_into: list[Secret] = []

    def ensure_reachable(self, _uid: int) -> None:
        """Be there, but for the fault that says nobody is."""
        if isinstance(self.fault, PromptUnavailable):
            raise self.fault

    async def ask_pin(self, question: PinQuestion, into: Secret) -> None:
        """Type the next PIN."""
        self.pin_questions.append(question)
        await self._think(question.question.topic)
        if not self.pins:
            raise PinCancelled
        self.typed_into.append(into)
        into.fill(memoryview(self.pins.pop(0).encode()))

    async def confirm(self, question: Question) -> Choice:
        """Choose."""
        self.questions.append(question)
        await self._think(question.topic)
        return self.choices.pop(0) if self.choices else self.choice

    async def notify(self, question: Question) -> None:
        """Look at it."""
        self.questions.append(question)

    def topics(self) -> list[str]:
        """What was asked, as topics."""
        return [question.topic for question in self.questions]

    async def _think(self, topic: str) -> None:
        self.is_asked.set()
        self.open.append(topic)
        try:
            await self.attentive.wait()
        finally:
            self.open.remove(topic)
        if self.fault:
            raise self.fault
