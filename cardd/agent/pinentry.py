"""One dialog with a pinentry, over a conversation that somebody else opened.

Source: the pinentry manual, "Protocol". What pinentry does not know (an option of a newer version) it may refuse.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from cardd.agent.assuan import CANCELED, FULLY_CANCELED, NOT_CONFIRMED, TIMEOUT, Assuan, Refusal
from cardd.agent.texts import ANSWERS, Words, can_be, confirm_words, notice_words, pin_words
from cardd.errors import ConsentTimeout, PinCancelled, PinTimeout, PromptUnavailable
from cardd.model import Choice, PinQuestion, Question
from cardd.secret import Secret


async def set_options(talk: Assuan, options: Mapping[str, str]) -> None:
    """Tell the pinentry its terminal and locale."""
    for name, value in options.items():
        with contextlib.suppress(Refusal):
            await talk.command("OPTION", f"{name}={value}")


async def ask_pin(talk: Assuan, asked: PinQuestion, language: str, seconds: int, into: Secret) -> None:
    """Read a PIN that can be right: digits, as many as the card's PIN may have; anything else is asked again.

    Raises PinCancelled, PinTimeout, PromptUnavailable.
    """
    words = pin_words(asked, language, seconds)
    while True:
        await _show(talk, words, seconds)
        try:
            await talk.command("GETPIN", into=into)
        except Refusal as refusal:
            raise (PinTimeout if refusal.code == TIMEOUT else _cancelled(refusal)) from None
        if can_be(into, asked.pin):
            return
        into.wipe()
        words = pin_words(asked, language, seconds, format_error=True)


async def confirm(talk: Assuan, question: Question, language: str, seconds: int) -> Choice:
    """One button of two or three. Raises ConsentTimeout, PromptUnavailable."""
    first, *_, last = answers = ANSWERS[question.third]
    await _show(talk, confirm_words(question, language, seconds), seconds)
    try:
        await talk.command("CONFIRM")
    except Refusal as refusal:
        if refusal.code == TIMEOUT:
            raise ConsentTimeout from None
        _cancelled(refusal)
        return (answers[1] if refusal.code == NOT_CONFIRMED else last).choice  # the second button of two is the last
    return first.choice


async def notify(talk: Assuan, question: Question, language: str) -> None:
    """Show a message until the user closes it, or until the conversation is ended."""
    await _show(talk, notice_words(question, language), 0)
    with contextlib.suppress(Refusal):
        await talk.command("MESSAGE")


async def _show(talk: Assuan, words: Words, seconds: int) -> None:
    settings = {
        "SETTIMEOUT": str(seconds) if seconds else "",
        "SETTITLE": words.title,
        "SETDESC": words.description,
        "SETPROMPT": words.prompt,
        "SETERROR": words.error,
        "SETOK": words.ok,
        "SETNOTOK": words.not_ok,
        "SETCANCEL": words.cancel,
    }
    for name, value in settings.items():
        if value:
            with contextlib.suppress(Refusal):
                await talk.command(name, value)


def _cancelled(refusal: Refusal) -> PinCancelled:
    """The user said no; any other refusal means that the dialog could not be shown."""
    if refusal.code not in (CANCELED, FULLY_CANCELED, NOT_CONFIRMED):
        raise PromptUnavailable(why=f"pinentry {refusal.code}") from None
    return PinCancelled()
