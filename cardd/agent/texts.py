"""A question's data as the words of a dialog.

Names that programs and documents gave themselves are untrusted: characters that could rearrange or break the dialog's
own words are removed, and what is too long loses its middle; the texts put them between quotation marks.

| topic | params |
|---|---|
| ``pair`` | name, vendor, program, user, code, psc_token (when it wants that) |
| ``login``, ``unlock``, ``certificates`` | client |
| ``sign`` | client, document, digest, patient (may be absent) |
| ``sign_batch`` | client, batch, count, documents, patient (may be absent) |
| ``assertions`` | client, holder; indirect (the organisation) or air, where a card does not sign |
| ``origin`` | origin |
| ``last_try`` | client, card, reader, tries_left |
| ``ecps`` | client, digits |
| ``ecps_browser`` | client |
| ``situation`` | client, profession, specialty, sector, structure |
| ``remember_hint`` | client, national_id |
| ``relay`` | client, upstream, host, lent (when it is the organisation's certificate) |
| ``organisation`` | client |
| ``pin_change``, ``pin_unblock`` | client |
| ``card`` | client, card, reader, holder (may be absent) |
"""

from __future__ import annotations

import pwd
import unicodedata
from dataclasses import dataclass

from cardd.i18n import text
from cardd.model import Choice, PinInfo, PinQuestion, PinRole, Question
from cardd.secret import Secret

# bytes as Assuan sends them: with all that a dialog shows they stay below its line's length, so that nothing is cut off
NAME_MAX, LONG_MAX = 120, 270
LONG = {"documents", "origin", "program"}  # the longest origin has 267 bytes
# other, format (bidirectional controls among them), surrogates, private use, unassigned; line and paragraph separators
UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


ALSO = ("patient", "holder", "indirect", "air", "lent", "psc_token")  # params that have a line of their own
DIGITS = range(ord("0"), ord("9") + 1)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the name of its texts (``dialog.NAME`` on its button, ``dialog.letter.NAME`` on a terminal's key)."""

    name: str
    choice: Choice


# the answers to a question by its third one: the first is the default button, the last is that of cancelling
ANSWERS = {
    None: (Answer("yes", Choice.YES), Answer("no", Choice.NO)),
    Choice.ALWAYS: (Answer("once", Choice.YES), Answer("always", Choice.ALWAYS), Answer("no", Choice.NO)),
    Choice.AGAIN: (Answer("hide", Choice.YES), Answer("again", Choice.AGAIN), Answer("cancel", Choice.NO)),
    Choice.ANOTHER: (Answer("this", Choice.YES), Answer("another", Choice.ANOTHER), Answer("cancel", Choice.NO)),
}


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
    if asked.role is PinRole.NEW:
        lines.append(text("dialog.new", language, **_lengths(asked.pin)))
    if asked.tries_left is not None:
        lines.append(text("dialog.tries", language, tries_left=asked.tries_left))
    lines.append(text("dialog.time", language, seconds=seconds))
    return Words(
        title=text("dialog.title", language),
        description="\n".join(lines),
        ok=text("dialog.ok", language),
        cancel=text("dialog.cancel", language),
        prompt=text(f"dialog.prompt.{asked.role}" if asked.pin.digits else "dialog.prompt.password", language),
        error=_error(asked, language, format_error=format_error),
    )


def confirm_words(question: Question, language: str, seconds: int) -> Words:
    """The words of a dialog with two or three answers."""
    lines = [_question(question, language)]
    if question.topic in ("last_try", "card"):
        lines.append(text("dialog.card", language, **clean(question.params)))
    lines.append(text("dialog.time", language, seconds=seconds))
    first, *middle, last = [text(f"dialog.{answer.name}", language) for answer in ANSWERS[question.third]]
    title = text("dialog.title", language)
    return Words(title, "\n".join(lines), ok=first, not_ok="".join(middle), cancel=last)


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
    also = [text(f"dialog.{name}", language, **clean(params)) for name in ALSO if name in params]
    return "\n".join((sentence, *also))


def _card(asked: PinQuestion) -> dict[str, str | int]:
    return clean({"card": asked.card.upper(), "reader": asked.reader})


def _lengths(pin: PinInfo) -> dict[str, str | int]:
    return {"minimum": pin.minimum, "maximum": pin.maximum}


def _error(asked: PinQuestion, language: str, *, format_error: bool) -> str:
    if format_error:
        return text("dialog.format" if asked.pin.digits else "dialog.length", language, **_lengths(asked.pin))
    if asked.problem:
        tries = {"tries_left": asked.tries_left} if asked.tries_left is not None else {}
        return text(f"dialog.problem.{asked.problem}", language, **tries)
    return ""


def can_be(typed: Secret, pin: PinInfo) -> bool:
    """Whether what was typed can be this PIN at all."""
    with typed.view() as view:
        return pin.minimum <= len(view) <= pin.maximum and (not pin.digits or all(byte in DIGITS for byte in view))


def user_name(uid: int) -> str:
    """The OS user's name; the number when the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
