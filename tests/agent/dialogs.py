"""Every dialog that there is, with the parameters that the core gives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cardd.agent.texts import SIGNING, Words, confirm_words, deciding, document_pages, notice_words, pin_words
from cardd.model import Choice, PinQuestion, PinRole, Question, Right, ShownDocument
from cardd.values import replace
from tests.agent.questions import PIN

USER = 4242  # whom no system knows
HOLDER = "CAMILLE SIMULATION (899000000010)"
PARAMS: dict[str, dict[str, str | int]] = {
    "pair": {
        "name": "LPS",
        "vendor": "Éditeur",
        "software_id": "lps",
        "program": "/usr/bin/lps",
        "code": "402817",
        "namesake": "",
        "psc_token": "",
        "sessions": "",
    },
    "agent_taken": {},
    "agent_not_installed": {"program": "/opt/cardd/bin/cardd-agent"},
    "agent": {"program": "/usr/bin/lps", "pid": 4242},
    "login": {"client": "LPS"},
    "unlock": {"client": "LPS"},
    "lend": {"client": "LPS"},
    "certificates": {"client": "LPS"},
    "assertions": {"client": "LPS", "holder": "CAMILLE SIMULATION (899000000010)", "indirect": "CENTRE SIMULATION"},
    "sign": {
        "client": "LPS",
        "holder": HOLDER,
        "document": "cr.pdf",
        "digest": "0123456789abcdef",
        "patient": "SIMULATION Zoé",
    },
    "sign_batch": {"client": "LPS", "holder": HOLDER, "batch": "Lot", "count": 7, "patient": "SIMULATION"},
    "origin": {
        "origin": "https://dmp.example",
        **dict.fromkeys((f"may_{right}" for right in Right if right is not Right.DETECT), ""),
        "punycode": "dmp.example",
        **dict.fromkeys(("listed", "another", "by_command"), ""),
        "until": "2027-05-29",
    },
    "program": {
        "program": "/usr/bin/ssh",
        "program_tls": "",
        "program_data": "",
        "program_sign": "",
        "server": "serveur.example",
        "passing": "",
        "until": "2027-05-29",
    },
    "ecps": {"client": "LPS", "digits": "07"},
    "ecps_browser": {"client": "LPS"},
    "ecps_active": {"client": "LPS", "national_id": "899700000001"},
    "situation": {
        "client": "LPS",
        "profession": "10",
        "specialty": "SM26",
        "sector": "SA07",
        "structure": "CABINET SIMULATION",
    },
    "remember_hint": {"client": "LPS", "national_id": "899700000000"},
    "relay": {"client": "LPS", "upstream": "dmp", "host": "dmp.example", "lent": ""},
    "organisation": {"client": "LPS"},
    "pin_change": {"client": "LPS"},
    "pin_unblock": {"client": "LPS"},
    "card": {"client": "LPS", "card": "cps3", "reader": "Lecteur A", "holder": "CAMILLE SIMULATION"},
    "last_try": {"client": "LPS", "card": "cps3", "reader": "Lecteur A", "tries_left": 1},
}
WITH_PIN = ("login", "unlock", "lend", "sign", "sign_batch", "relay", "organisation", "pin_change", "pin_unblock")
PROBLEMS = (None, "wrong", "refused", "mismatch", "same", "repeated", "sequence")


def question(topic: str, fill: str | None = None, language: str | None = None) -> Question:
    """The question of this topic; ``fill`` replaces each of its texts."""
    params = {
        name: fill if fill is not None and isinstance(value, str) else value for name, value in PARAMS[topic].items()
    }
    names = [fill[:60] + fill[-60:]] * 50 if fill is not None else ["a.pdf", "b.pdf"]
    documents = tuple(ShownDocument(name, "pades", (fill or "SIMULATION")[:120]) for name in names)
    return Question(topic, USER, params, language, documents=documents if topic in SIGNING else ())


def pin_questions(
    topic: str, fill: str | None = None, problems: Sequence[str | None] = PROBLEMS
) -> Iterator[PinQuestion]:
    """Return the questions with each code, and each reason to ask for it again."""
    for role in PinRole:
        for problem in problems:
            yield PinQuestion(question(topic, fill), PIN, fill or "Lecteur A", "cps3", 2, problem, role)
    yield PinQuestion(question(topic, fill), replace(PIN, digits=False), fill or "Lecteur A", "pkcs12", None, "refused")


def every_dialog(language: str, fill: str | None = None, problems: Sequence[str | None] = PROBLEMS) -> list[Words]:
    """All of them in this language; ``problems`` are the reasons to ask for a code again."""
    topics = [topic for topic in PARAMS if PARAMS[topic] or fill is None]  # what names nobody has nothing to fill
    found = [confirm_words(question(topic, fill), language, 120) for topic in topics]
    for third in (Choice.ALWAYS, Choice.ANOTHER, Choice.AGAIN):
        found += [confirm_words(replace(question(topic, fill), third=third), language, 120) for topic in topics]
    for topic in SIGNING:
        found.append(confirm_words(deciding(question(topic, fill)), language, 120))
        often = replace(question(topic, fill), params={**question(topic, fill).params, "times": 50})
        found.append(confirm_words(deciding(often), language, 120))
        found += document_pages(question(topic, fill), language)
    for topic in WITH_PIN:
        asked = question(topic, fill)
        keypad: dict[str, str | int] = {"reader": fill or "Lecteur A", "times": 50}
        found.append(notice_words(replace(asked, params={**asked.params, **keypad}), language))
        for each in pin_questions(topic, fill, problems):
            found.append(pin_words(each, language, 120))
            found.append(pin_words(each, language, 120, format_error=True))
    return found
