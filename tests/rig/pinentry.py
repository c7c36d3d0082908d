"""A pinentry that answers as the test says: a real program that speaks Assuan on its standard input and output."""

from __future__ import annotations

import fcntl
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from cardd.errors import CarddError, PinCancelled, PinTimeout, PromptUnavailable

# answers that are no PIN, and what each is told as
NO_PIN: list[tuple[str, type[CarddError]]] = [
    ("cancel", PinCancelled),
    ("timeout", PinTimeout),
    ("crash", PromptUnavailable),
    ("garbage", PromptUnavailable),
    ("endless", PromptUnavailable),
]
READING = 0.75  # seconds, a little more than a dialog is shown before it takes an answer

PROGRAM = """#!{python} -ISE
import fcntl, json, os, signal, sys, time

HERE = {directory!r}
SETTINGS = {{"SETTITLE": "title", "SETDESC": "description", "SETPROMPT": "prompt", "SETERROR": "error",
             "SETOK": "ok", "SETNOTOK": "not_ok", "SETCANCEL": "cancel", "SETTIMEOUT": "timeout"}}
ERRORS = {{"cancel": 83886179, "timeout": 83886142, "no": 83886194, "hasty-cancel": 83886179}}


def say(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()


def next_answer(default):
    with open(HERE + "/answers", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        answers = json.load(file)
        answer = answers["queue"].pop(0) if answers["queue"] else answers[default]
        file.seek(0)
        file.truncate()
        json.dump(answers, file)
    return answer


def show(kind, shown, options):
    with open(HERE + "/shown", "a") as file:
        file.write(json.dumps({{"kind": kind, **shown, "options": options}}) + "\\n")


def play(answer):
    if answer in ERRORS:
        say("ERR %d refused <Pinentry>" % ERRORS[answer])
    elif answer == "crash":
        os._exit(1)
    elif answer == "garbage":
        say("\\x00\\x01 what is this")
    elif answer == "endless":
        sys.stdout.write("D " + "1" * 8000)
        sys.stdout.flush()
        time.sleep(60)
    elif answer == "flood":
        while True:
            sys.stdout.write("S x\\n" * 20000)
    elif answer == "hang":
        time.sleep(60)
    elif answer.startswith("twice:"):
        for _ in range(2):
            say("D " + answer.partition(":")[2])
            say("OK")
    elif answer.startswith(("pin:", "early:")):
        say("S PASSWORD_FROM_TEST")
        say("D " + answer.partition(":")[2])
        say("OK")
    else:
        say("OK")


shown, options = {{}}, []
say("OK Pleased to meet you")
for line in sys.stdin:
    name, _, argument = line.rstrip("\\n").partition(" ")
    for code, character in (("%0A", "\\n"), ("%0D", "\\r"), ("%25", "%")):
        argument = argument.replace(code, character)
    if name == "OPTION":
        options.append(argument)
        say("OK")
    elif name == "GETINFO" and argument == "flavor" and {flavor!r}:
        say("D " + {flavor!r})
        say("OK")
    elif name in SETTINGS:
        shown[SETTINGS[name]] = argument
        say("OK")
    elif name == "GETPIN":
        show("pin", shown, options)
        shown.pop("error", None)
        answer = next_answer("pin")
        if answer.startswith("pin:") or answer == "cancel":
            time.sleep({reads!r})  # a person reads: what is typed at once is not taken
        play(answer)
    elif name in ("CONFIRM", "MESSAGE"):
        show(name.lower(), shown, options)
        shown.pop("error", None)
        answer = next_answer("confirm")
        if name == "CONFIRM" and answer in ("yes", "no", "cancel"):
            time.sleep({reads!r})
        play(answer)
    elif name == "BYE":
        say("OK closing connection")
        break
    else:
        say("ERR 83886355 Unknown IPC command <Pinentry>")
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One dialog as the user saw it, all spaces plain: ``kind`` is ``pin``, ``confirm`` or ``message``."""

    kind: str
    title: str = ""
    description: str = ""
    prompt: str = ""
    error: str = ""
    ok: str = ""
    not_ok: str = ""
    cancel: str = ""
    timeout: str = ""
    options: tuple[str, ...] = ()


class ScriptedPinentry:
    """``path`` is the program to configure. Without other orders it types ``pin`` and agrees to everything.

    ``flavor`` is which pinentry it says to be; by default it says nothing.

    An answer is ``pin:…``, ``early:…`` (a PIN at once), ``yes``, ``no`` (the middle button, or refuse), ``cancel``,
    ``timeout``, ``crash``, ``haste`` (a yes at once), ``hasty-cancel``, ``garbage``, ``endless``, ``flood`` (status
    lines without end), ``hang`` or ``twice:…`` (a PIN, and once more). ``reads`` is how many seconds pass before a PIN,
    a yes, a no or a cancel.
    """

    def __init__(
        self, directory: Path, *, pin: str = "1234", confirm: str = "yes", flavor: str = "", reads: float = READING
    ) -> None:
        self._directory = directory / "pinentry"
        self._directory.mkdir()
        self.path = self._directory / "pinentry-scripted"
        of_test = {"python": sys.executable, "directory": str(self._directory), "flavor": flavor, "reads": reads}
        self.path.write_text(PROGRAM.format(**of_test))
        self.path.chmod(0o755)
        self._shown = self._directory / "shown"
        self._shown.touch()
        self._pin, self._confirm = f"pin:{pin}", confirm
        self.answer()

    def answer(self, *answers: str, confirm: str | None = None) -> None:
        """Answer the next dialogs so, in this order; ``confirm`` changes the usual answer to questions."""
        self._confirm = confirm or self._confirm
        orders = {"queue": list(answers), "pin": self._pin, "confirm": self._confirm}
        with (self._directory / "answers").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # who reads meanwhile must not find half of them
            file.truncate(0)
            json.dump(orders, file)

    def shown(self) -> list[Shown]:
        """Every dialog so far."""
        lines = [json.loads(line.replace(r"\u00a0", " ")) for line in self._shown.read_text().splitlines()]
        return [Shown(**{**line, "options": tuple(line["options"])}) for line in lines]

    def shown_at(self) -> float:
        """When the last dialog was (``time.time``)."""
        return self._shown.stat().st_mtime
