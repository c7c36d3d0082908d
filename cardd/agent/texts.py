"""A question's data as the words of a dialog.

Names that programs and documents gave themselves are untrusted: characters that could rearrange or break the dialog's
own words are removed, and what is too long loses its middle; the texts put them between quotation marks.
"""

from __future__ import annotations

import pwd
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator

from cardd.agent.sentences import ALSO, EARLY_ANSWER, EARLY_PIN, PROBLEMS, PROMPTS, QUESTIONS
from cardd.i18n import N_, Domain
from cardd.model import Choice, PinInfo, PinQuestion, PinRole, Question, ShownDocument, shown
from cardd.secret import Secret
from cardd.values import Value, replace

# bytes as Assuan sends them: with all that a dialog shows they stay below its line's length, so that nothing is cut off
NAME_MAX, LONG_MAX, PAIRED_PROGRAM_MAX, WHOLE_MAX = 96, 270, 220, 990
LONG = {"origin", "program"}  # the longest origin has 267 bytes
SIGNING = ("sign", "sign_batch")
MANY_NAMES_MAX = 80  # of each name in a question that has many: about signatures, or a program to be paired
PUNYCODE_MAX = 60
SHARES = (1.0, 0.75, 0.5, 0.25)  # of the room that names may take, until the dialog's own words have theirs
RUN_MAX = 64  # characters without a space: windows do not break a line there, and what is beside the screen is not read
LISTED_MAX, PAGE_MAX = 200, 700  # of the documents in the question, and on a page of their list
FORMATS = {"raw": "raw", "jws": "JWS", "cades": "CAdES", "xades": "XAdES", "pades": "PAdES", "submission_set": "DMP"}
QUOTES = {ord(quote): "'" for quote in '«»“”"'}
DIGITS = range(ord("0"), ord("9") + 1)

_RUN, _MARK = re.compile(rf"[^\s…]{{{RUN_MAX + 1},}}"), re.compile(r"[./:_-]")
_ = Domain("dialogs")


class Button(Value):
    """One answer to a question: the word on its button, that word with its key on a terminal, and what it means.

    ``grants`` says that the answer agrees to something: it is not to be given by an Enter that was meant for another.
    """

    label: str
    keyed: str
    choice: Choice
    grants: bool = False


ACCEPT = Button(N_("Accept"), N_("[y] Accept"), Choice.YES, grants=True)
REFUSE = Button(N_("Refuse"), N_("[n] Refuse"), Choice.NO)
CANCEL = Button(N_("Cancel"), N_("[n] Cancel"), Choice.NO)
NOT_THIS = Button(N_("Not this one"), N_("[n] Not this one"), Choice.NO)
# the buttons of a question by its third choice: the first agrees, the last is that of cancelling
BUTTONS = {
    None: (ACCEPT, REFUSE),
    Choice.ALWAYS: (
        Button(N_("Only this once"), N_("[y] Only this once"), Choice.YES, grants=True),
        Button(N_("Accept and remember"), N_("[a] Accept and remember"), Choice.ALWAYS, grants=True),
        REFUSE,
    ),
    Choice.SHOW: (ACCEPT, Button(N_("See all"), N_("[s] See all"), Choice.SHOW), REFUSE),
    Choice.AGAIN: (
        Button(N_("Hide"), N_("[h] Hide"), Choice.YES),
        Button(N_("Resend"), N_("[r] Resend"), Choice.AGAIN),
        CANCEL,
    ),
    Choice.ANOTHER: (
        Button(N_("Use this one"), N_("[y] Use this one"), Choice.YES, grants=True),
        Button(N_("Show another"), N_("[a] Show another"), Choice.ANOTHER),
        CANCEL,
    ),
}


# three as well: a pinentry keeps the words of a middle button that it was told once
PAGE_BUTTONS = (
    Button(N_("Continue"), N_("[c] Continue"), Choice.YES),
    Button(N_("Decide"), N_("[d] Decide"), Choice.SHOW),
    REFUSE,
)


class Words(Value):
    """One dialog's words; ``error`` is shown apart, ``not_ok`` is there when there are three buttons.

    ``with_buttons`` adds the words of the buttons where somebody chooses among several.
    """

    title: str
    description: str
    ok: str = ""
    cancel: str = ""
    prompt: str = ""
    error: str = ""
    not_ok: str = ""


def with_buttons(words: Words, language: str, ok: Button, not_ok: Button | None, cancel: Button) -> Words:
    """Return the words with those of the buttons."""
    middle = _(not_ok.label, language) if not_ok else ""
    return replace(words, ok=_(ok.label, language), not_ok=middle, cancel=_(cancel.label, language))


def early_pin(words: Words, language: str) -> Words:
    """Return the words of a PIN dialog that is shown again: something was typed into it as it opened."""
    return replace(words, error=_(EARLY_PIN, language))


def early_answer(words: Words, language: str) -> Words:
    """Return the words of any other dialog that is shown again.

    The reason comes first: some pinentries show no error beside buttons. A dialog that has no room for it is shown
    with it as an error.
    """
    why = _(EARLY_ANSWER, language)
    description = f"{why}\n\n{words.description}"
    return replace(words, description=description) if _size(description) <= WHOLE_MAX else replace(words, error=why)


def pin_words(asked: PinQuestion, language: str, seconds: int, *, format_error: bool = False) -> Words:
    """Return the words of a PIN dialog."""
    own = [_new_length(asked.pin, language)] if asked.role is PinRole.NEW else []
    if asked.tries_left is not None:
        own.append(_("Tries left: {tries_left}.", language, tries_left=asked.tries_left))
    own.append(_time(seconds, language))
    card: dict[str, str | int] = {"card": asked.card.upper(), "reader": asked.reader}

    def lines(share: float) -> list[str]:
        return [_question(asked.question, language, share), _card(clean(card, share), language), *own]

    prompt = PROMPTS[asked.role]
    return Words(
        title=_title(language),
        description=_fitted(lines),
        ok=_("OK", language),
        cancel=_("Cancel", language),
        prompt=_(prompt, language) if asked.pin.digits else _("Password:", language),
        error=_format_error(asked.pin, language) if format_error else _problem(asked, language),
    )


def confirm_words(question: Question, language: str, seconds: int) -> Words:
    """Return the words of a dialog with two or three buttons, which have their own."""

    def lines(share: float) -> list[str]:
        is_about_card = question.topic in ("last_try", "card")
        card = [_card(clean(question.params, share), language)] if is_about_card else []
        return [_question(question, language, share), *card, _time(seconds, language)]

    return Words(_title(language), _fitted(lines))


def deciding(question: Question) -> Question:
    """Return the question with a button that shows all documents, where it does not show each name whole."""
    _, hidden = _listed(question)
    return replace(question, third=Choice.SHOW) if hidden and question.third is None else question


def document_pages(question: Question, language: str) -> list[Words]:
    """Return the pages of the list of documents: each name whole, with its format and patient."""
    lines = [
        piece
        for number, document in enumerate(question.documents, 1)
        for piece in _pieces(f"{number}. {_whole(document, language)}")
    ]
    pages: list[list[str]] = [[]]
    for line in lines:
        if _size("\n".join([*pages[-1], line])) > PAGE_MAX:
            pages.append([])
        pages[-1].append(line)
    return [
        Words(
            _title(language),
            _broken(
                "\n".join([_("All documents, page {page} of {pages}:", language, page=page, pages=len(pages)), *shown])
            ),
        )
        for page, shown in enumerate(pages, 1)
    ]


def _whole(document: ShownDocument, language: str) -> str:
    name = _quoted(document.name)
    form = FORMATS.get(document.format, document.format)
    if document.patient is None:
        return _("“{document}” ({format})", language, document=name, format=form)
    patient = _quoted(document.patient)
    return _("“{document}” ({format}), patient “{patient}”", language, document=name, format=form, patient=patient)


def _pieces(line: str) -> Iterator[str]:
    """Cut a line that is longer than a page."""
    while _size(line) > PAGE_MAX:
        end = PAGE_MAX // 4  # characters of up to four bytes
        yield line[:end]
        line = line[end:]
    yield line


def _listed(question: Question) -> tuple[str, int]:
    """Return the first names, as many as the question can show whole, and how many others there are."""
    names = [_quoted(document.name) for document in question.documents]
    shown: list[str] = []
    while len(shown) < len(names) and _size(", ".join([*shown, names[len(shown)]])) <= LISTED_MAX:
        shown.append(names[len(shown)])
    return ", ".join(shown), len(names) - len(shown)


def _documents(question: Question, language: str) -> list[str]:
    """Return what a question about signatures tells of its documents."""
    listed, hidden = _listed(question)
    lines = []
    if question.topic == "sign_batch":
        lines.append(_("Documents: {documents}", language, documents=listed or "…"))
        if hidden:
            lines.append(_.plural("… and {number} more: see all.", "… and {number} more: see all.", hidden, language))
        following = int(question.params.get("count", 0)) - len(question.documents)
        if following > 0:
            lines.append(
                _.plural(
                    "{number} more document will follow, and is not shown.",
                    "{number} more documents will follow, and are not shown.",
                    following,
                    language,
                )
            )
    forms = sorted({FORMATS.get(document.format, document.format) for document in question.documents})
    lines.append(_("Format: {formats}", language, formats=", ".join(forms)))
    texts = [text for document in question.documents for text in (document.name, document.patient or "")]
    return [*lines, *_warning(texts, language)]


def _warning(names: Iterable[str], language: str) -> list[str]:
    """Return what is to be said of names that may look like others."""
    if not any(map(_has_other_letters, names)):
        return []
    return [_("Careful: a name has letters of another alphabet, which may look like Latin ones.", language)]


def _has_other_letters(text: str) -> bool:
    """Return whether letters could be taken for others: of other alphabets, full-width or mathematical ones."""
    letters = [one for one in text if one.isalpha()]
    return any(not unicodedata.name(one, "").startswith("LATIN ") for one in letters)


def _quoted(name: str) -> str:
    """Return the whole name, without what could break the dialog's own words."""
    return " ".join(shown(name).split()).translate(QUOTES)


def keyed_words(button: Button, language: str) -> str:
    """Return a button's word behind its key, as a terminal shows it: ``[y] Accept``."""
    return _(button.keyed, language)


def notice_words(question: Question, language: str) -> Words:
    """Return the words of a message; where ``reader`` is a param, that its keypad waits for the PIN."""
    close = _("Close", language)

    def lines(share: float) -> list[str]:
        told = [_question(question, language, share)]
        if "reader" in question.params:
            reader = clean(question.params, share)
            told.append(_("Enter your PIN on the keypad of the reader “{reader}”.", language, **reader))
        return told

    return Words(_title(language), _fitted(lines), ok=close, cancel=close)


def _fitted(lines: Callable[[float], list[str]]) -> str:
    """Return the lines for the greatest share of room for names that leaves all of them to be read."""
    texts = (_broken("\n".join(lines(share))) for share in SHARES)
    return next((text for text in texts if _size(text) <= WHOLE_MAX), _broken("\n".join(lines(SHARES[-1]))))


def _broken(text: str) -> str:
    """Return the text with line breaks in what has no space for long, where there is a mark if possible."""
    return _RUN.sub(lambda run: "\n".join(_parts(run[0])), text)


def _parts(run: str) -> Iterator[str]:
    while len(run) > RUN_MAX:
        mark = _MARK.search(run, RUN_MAX // 2, RUN_MAX)
        end = mark.start() if mark else RUN_MAX
        yield run[:end]
        run = run[end:]
    yield run


def clean(params: dict[str, str | int], share: float = 1.0) -> dict[str, str | int]:
    """Return parameters that cannot imitate the dialog's own words."""
    return {name: _clean(value, LONG_MAX if name in LONG else NAME_MAX, share) for name, value in params.items()}


def _clean(value: str | int, limit: int, share: float = 1.0) -> str | int:
    if isinstance(value, int):
        return value
    limit = int(limit * share)
    value = value if len(value) <= 4 * limit else value[: 2 * limit] + value[-2 * limit :]
    told = _quoted(value)
    return told if _size(told) <= limit else _shortened(told, limit)


def _shortened(shown: str, limit: int) -> str:
    """Return the text without its middle: of a path, an origin or a document both ends tell."""
    head, tail = shown[: len(shown) // 2], shown[len(shown) // 2 :]
    half = (limit - _size("…")) // 2
    while _size(head) > half:
        head = head[:-1]
    while _size(tail) > half:
        tail = tail[1:]
    return f"{head}…{tail}"


def _size(shown: str) -> int:
    """Return how many bytes this takes on the way to a pinentry."""
    return len(shown.encode()) + 2 * (shown.count("%") + shown.count("\n"))


def _question(question: Question, language: str, share: float) -> str:
    params = clean({"user": user_name(question.uid), **question.params}, share)
    if params.get("program") == "":
        params["program"] = _("unknown program", language)
    if question.topic in SIGNING:
        params |= {name: _clean(value, MANY_NAMES_MAX, share) for name, value in params.items()}
        if "document" in question.params:
            params["document"] = _clean(question.params["document"], LISTED_MAX)  # whole, or there are pages
    if isinstance(until := params.get("until"), str):
        params["until"] = _day(until, language)
    if "punycode" in params:
        params["punycode"] = _clean(params["punycode"], PUNYCODE_MAX, share)
    also = [_(sentence, language, **params) for name, sentence in ALSO.items() if name in params]
    more = _documents(question, language) if question.topic in SIGNING else []
    if question.topic == "pair":
        names = {name: question.params[name] for name in ("name", "vendor")}
        params |= {name: _clean(value, MANY_NAMES_MAX, share) for name, value in names.items()}
        params["program"] = _clean(params["program"], PAIRED_PROGRAM_MAX, share)
        more = _warning(map(str, names.values()), language)
    return "\n".join((_sentence(question.topic, params, language), *more, *also))


def _day(iso: str, language: str) -> str:
    """Return a day as people write it."""
    return "/".join(reversed(iso[:10].split("-"))) if language == "fr" else iso[:10]


def _sentence(topic: str, params: dict[str, str | int], language: str) -> str:
    if topic == "sign_batch":
        return _.plural(
            "“{client}” asks for {number} signature.\nBatch: “{batch}”",
            "“{client}” asks for {number} signatures, all at once.\nBatch: “{batch}”",
            int(params["count"]),
            language,
            **params,
        )
    return _(QUESTIONS[topic], language, **params)


def _title(language: str) -> str:
    return _("cardd – health professional's card", language)


def _card(params: dict[str, str | int], language: str) -> str:
    return _("Card {card}, reader “{reader}”.", language, **params)


def _time(seconds: int, language: str) -> str:
    return _("This dialog closes after {seconds} s.", language, seconds=seconds)


def _new_length(pin: PinInfo, language: str) -> str:
    if not pin.digits:
        lengths = {"minimum": pin.minimum, "maximum": pin.maximum}
        return _("The new PIN has {minimum} to {maximum} characters.", language, **lengths)
    if pin.minimum == pin.maximum:
        return _.plural("The new PIN has {number} digit.", "The new PIN has {number} digits.", pin.minimum, language)
    return _("The new PIN has {minimum} to {maximum} digits.", language, minimum=pin.minimum, maximum=pin.maximum)


def _format_error(pin: PinInfo, language: str) -> str:
    if not pin.digits:
        return _(
            "{minimum} to {maximum} characters. Nothing was sent.", language, minimum=pin.minimum, maximum=pin.maximum
        )
    if pin.minimum == pin.maximum:
        return _.plural(
            "{number} digit. Nothing was sent to the card.",
            "{number} digits. Nothing was sent to the card.",
            pin.minimum,
            language,
        )
    return _(
        "{minimum} to {maximum} digits. Nothing was sent to the card.",
        language,
        minimum=pin.minimum,
        maximum=pin.maximum,
    )


def _problem(asked: PinQuestion, language: str) -> str:
    if asked.problem is None:
        return ""
    if asked.tries_left is None:
        problem = "refused" if asked.problem == "wrong" else asked.problem
        return _(PROBLEMS[problem], language)
    return _(PROBLEMS[asked.problem], language, tries_left=asked.tries_left)


def can_be(typed: Secret, pin: PinInfo) -> bool:
    """Return whether what was typed can be this PIN at all."""
    with typed.view() as view:
        return pin.minimum <= len(view) <= pin.maximum and (not pin.digits or all(byte in DIGITS for byte in view))


def user_name(uid: int) -> str:
    """Return the OS user's name; the number when the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
