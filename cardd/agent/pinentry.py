"""One dialog with a pinentry, over a conversation that somebody else opened.

Source: the pinentry manual, "Protocol". What pinentry does not know (an option of a newer version) it may refuse.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from cardd.agent.assuan import CANCELED, FULLY_CANCELED, NOT_CONFIRMED, TIMEOUT, Assuan, Refusal
from cardd.agent.texts import Words, confirm_words, notice_words, pin_words
from cardd.errors import ConsentTimeout, PinCancelled, PinTimeout, PromptUnavailable
from cardd.model import Choice, PinInfo, PinQuestion, Question
from cardd.secret import Secret

DIGITS = range(ord("0"), ord("9") + 1)


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
    """Yes, no, or with a third button always. Raises ConsentTimeout, PromptUnavailable."""
    await _show(talk, confirm_words(question, language, seconds), seconds)
    try:
        await talk.command("CONFIRM")
    except Refusal as refusal:
        if refusal.code == TIMEOUT:
            raise ConsentTimeout from None
        _cancelled(refusal)
        # the middle button is "once" where there are three
        return Choice.YES if question.remember and refusal.code == NOT_CONFIRMED else Choice.NO
    return Choice.ALWAYS if question.remember else Choice.YES


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


def can_be(pin: Secret, known: PinInfo) -> bool:
    """Whether this may be a PIN of that card: what cannot is never sent, so that it costs no try."""
    with pin.view() as view:
        return known.minimum <= len(view) <= known.maximum and all(byte in DIGITS for byte in view)
