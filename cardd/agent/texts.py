"""A question's data as the words of a dialog.

Names that programs and documents gave themselves are untrusted: characters that could rearrange or break the dialog's
own words are removed, and what is too long loses its middle; the texts put them between quotation marks.

| topic | params |
|---|---|
| ``pair`` | name, vendor, program, user, code |
| ``login``, ``unlock``, ``certificates`` | client |
| ``sign`` | client, document, digest, patient (may be absent) |
| ``sign_batch`` | client, batch, count, documents, patient (may be absent) |
| ``origin`` | origin |
| ``last_try`` | client, card, reader, tries_left |
"""

from __future__ import annotations

import pwd
import unicodedata
from dataclasses import dataclass

from cardd.i18n import text
from cardd.model import PinQuestion, Question

# bytes as Assuan sends them: with all that a dialog shows they stay below its line's length, so that nothing is cut off
NAME_MAX, LONG_MAX = 120, 270
LONG = {"documents", "origin", "program"}  # the longest origin has 267 bytes
# other, format (bidirectional controls among them), surrogates, private use, unassigned; line and paragraph separators
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, slots=True)
class Words:
    """One dialog's words; ``error`` is shown apart, ``not_ok`` is there when there are three answers."""

    title: str
    description: str
    ok: str
    cancel: str
    prompt: str = ""
    error: str = ""
    not_ok: str = ""


def pin_words(asked: PinQuestion, language: str, seconds: int, *, format_error: bool = False) -> Words:
    """The words of a PIN dialog."""
    lines = [_question(asked.question, language), text("dialog.card", language, **_card(asked))]
    if asked.tries_left is not None:
        lines.append(text("dialog.tries", language, tries_left=asked.tries_left))
    lines.append(text("dialog.time", language, seconds=seconds))
    return Words(
        title=text("dialog.title", language),
        description="\n".join(lines),
        ok=text("dialog.ok", language),
        cancel=text("dialog.cancel", language),
        prompt=text("dialog.pin", language),
        error=_error(asked, language, format_error=format_error),
    )


def confirm_words(question: Question, language: str, seconds: int) -> Words:
    """The words of a yes-or-no dialog; with ``remember``, of one with a third answer."""
    lines = [_question(question, language)]
    if question.topic == "last_try":
        lines.append(text("dialog.card", language, **clean(question.params)))
    lines.append(text("dialog.time", language, seconds=seconds))
    return Words(
        title=text("dialog.title", language),
        description="\n".join(lines),
        ok=text("dialog.always" if question.remember else "dialog.yes", language),
        not_ok=text("dialog.once", language) if question.remember else "",
        cancel=text("dialog.no", language),
    )


def notice_words(question: Question, language: str) -> Words:
    """The words of a message: what is asked, and that the reader's keypad (param ``reader``) waits for the PIN."""
    close = text("dialog.close", language)
    description = _question(question, language) + "\n" + text("dialog.keypad", language, **clean(question.params))
    return Words(text("dialog.title", language), description, ok=close, cancel=close)


def clean(params: dict[str, str | int]) -> dict[str, str | int]:
    """Parameters that cannot imitate the dialog's own words."""
    return {name: _clean(name, value) for name, value in params.items()}


def _clean(name: str, value: str | int) -> str | int:
    if isinstance(value, int):
        return value
    limit = LONG_MAX if name in LONG else NAME_MAX
    value = value if len(value) <= 4 * limit else value[: 2 * limit] + value[-2 * limit :]
    shown = "".join(" " if unicodedata.category(character) in UNSAFE else character for character in value)
    shown = " ".join(shown.split()).translate({ord(quote): "'" for quote in '«»“”"'})
    return shown if _size(shown) <= limit else _shortened(shown, limit)


def _shortened(shown: str, limit: int) -> str:
    """Without its middle: of a path, an origin or a document both ends tell."""
    head, tail = shown[: len(shown) // 2], shown[len(shown) // 2 :]
    half = (limit - _size("…")) // 2
    while _size(head) > half:
        head = head[:-1]
    while _size(tail) > half:
        tail = tail[1:]
    return f"{head}…{tail}"


def _size(shown: str) -> int:
    return len(shown.encode()) + 2 * shown.count("%")


def _question(question: Question, language: str) -> str:
    params = {"user": user_name(question.uid), **question.params}
    sentence = text(f"dialog.{question.topic}.question", language, **clean(params))
    if "patient" in params:
        sentence += "\n" + text("dialog.patient", language, **clean(params))
    return sentence


def _card(asked: PinQuestion) -> dict[str, str | int]:
    return clean({"card": asked.card.upper(), "reader": asked.reader})


def _error(asked: PinQuestion, language: str, *, format_error: bool) -> str:
    if format_error:
        return text("dialog.format", language, minimum=asked.pin.minimum, maximum=asked.pin.maximum)
    if asked.wrong_before and asked.tries_left is not None:
        return text("dialog.wrong", language, tries_left=asked.tries_left)
    return ""


def user_name(uid: int) -> str:
    """The OS user's name; the number when the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
