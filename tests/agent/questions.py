"""Questions that the tests put to a pinentry of their own."""

from __future__ import annotations

import os

from cardd.agent.dialogs import Dialogs
from cardd.model import PinInfo, PinQuestion, Question, ShownDocument
from cardd.secret import Secret
from cardd.values import replace

US = os.getuid()
PIN = PinInfo(reference=1, label="Code porteur", minimum=4, maximum=8, tries=3)


def question(topic: str = "login", language: str = "fr", **params: str | int) -> Question:
    return Question(topic, US, {"client": "LPS de test", **params}, language=language)


def pin_question(
    language: str | None = "fr", *, uid: int = US, tries_left: int = 3, problem: str | None = None
) -> PinQuestion:
    asked = Question("login", uid, {"client": "LPS de test"}, language)
    return PinQuestion(asked, PIN, "Lecteur A", "cps3", tries_left, problem)


async def typed(dialogs: Dialogs, asked: PinQuestion) -> bytes:
    """Ask for a PIN; return what was typed."""
    with Secret() as secret:
        await dialogs.ask_pin(asked, secret)
        with secret.view() as view:
            return bytes(view)


def of_twenty(language: str = "en") -> Question:
    documents = tuple(ShownDocument(f"ordonnance-{number:02}-du-cabinet.pdf", "pades") for number in range(20))
    return replace(question("sign_batch", language, batch="Lot", count=20), documents=documents)
