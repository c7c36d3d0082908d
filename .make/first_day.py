"""Types docs/quick-start.md as a maker of practice software would, and tells the time of each step (`make first-day`).

    first_day.py              from a new clone of this repository, with the install
    first_day.py --installed  with this checkout and its .venv: the step that clones and installs is left out

Each terminal of the page is a bash on a terminal of its own, with a new home and none of our environment, in French for
a page of docs/fr. Each command must end well, and what the page shows below it must come. The person at the terminals
compares the six digits, types the PIN that the page names, and reads before a yes.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "quick-start.md"
LIMIT = 600.0  # seconds for all of it, as the page promises
BLOCK = re.compile(r"^```sh\n# terminal (\d)(.*)\n((?:.*\n)*?)```\n(?:\n```text\n((?:.*\n)*?)```\n)?", re.MULTILINE)
CLONE = re.compile(r"^git clone (\S+)", re.MULTILINE)
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

READING = 0.8  # seconds; a yes in a dialog's first 0.7 s is not taken
ANSWERS = {"PIN:": "1234", "Code porteur :": "1234", "Password:": "SIMULATION", "Mot de passe :": "SIMULATION"}
TYPE = "screen"  # repeats no character, and tells when a program takes the whole terminal
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()].|[=>78M])|[\x0e\x0f]")
PROMPT = re.compile(r"\x1d(\d+)\x1d")
WHOLE, LEFT = "\x1b[?1049h", "\x1b[?1049l"  # a dialog of pinentry-curses begins and ends
CHOICE = re.compile(r"\[(\w)\w*\]\? $")  # pinentry-tty asks for one of several
BUTTON = re.compile(r"<(\w[\w ]*)>")
AGREEING = ("Accept", "Only this once", "Accepter", "Accepter une fois")  # a program's dialogs are in its language
CODE = re.compile(r"\b\d{6}\b")


@dataclass(frozen=True)
class Step:
    """One block of the page: the terminal, what is typed there, and what is shown."""

    terminal: str
    commands: list[str]
    stays: bool
    shown: list[str]


class Failed(Exception):
    """The page does not hold."""


def steps(page: str) -> list[Step]:
    """Return the page's steps, in order."""
    return [
        Step(terminal, list(_commands(typed)), "running" in more, shown.splitlines())
        for terminal, more, typed, shown in BLOCK.findall(page)
    ]


def _commands(block: str) -> Iterator[str]:
    """Yield each command as it is typed, with all of its lines."""
    command = ""
    for line in block.splitlines(keepends=True):
        command += line
        judged = subprocess.run(["/bin/bash", "-n", "-c", command], capture_output=True, text=True, check=False)  # noqa: S603
        if not judged.stderr and not command.endswith("\\\n"):
            yield command
            command = ""
    if command:
        raise Failed(f"no whole command: {command}")


class Terminal:
    """A bash on a terminal of its own, which says its status whenever it is ready for a command."""

    def __init__(self, home: Path, folder: Path, locale: str) -> None:
        around = {name: os.environ[name] for name in PROXIES if name in os.environ}
        around |= {"HOME": str(home), "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        around |= {"TERM": TYPE, "LANG": locale, "PS1": "\x1d$?\x1d", "PS2": ""}
        self._ours, theirs = pty.openpty()
        self._raw = b""
        self.said = ""
        self._step = self._answered = 0  # where in it the step begins, and where the last answer was given
        bash = ["/usr/bin/setsid", "--ctty", "/bin/bash", "--norc", "--noprofile", "--noediting", "-i"]
        self._bash = subprocess.Popen(bash, cwd=folder, env=around, stdin=theirs, stdout=theirs, stderr=theirs)  # noqa: S603
        os.close(theirs)
        self.type("stty -echo columns 200\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End what runs here, as a person does."""
        deadline = time.monotonic() + 20
        while self._bash.poll() is None and time.monotonic() < deadline:
            self.type("\x03")
            self.type("exit\n")
            if select.select([self], [], [], 0.3)[0]:
                self.read()
        self._bash.kill()
        self._bash.wait()
        os.close(self._ours)

    def fileno(self) -> int:
        """Return what ``select`` waits for."""
        return self._ours

    def type(self, keys: str) -> None:
        """Type."""
        try:
            os.write(self._ours, keys.encode())
        except OSError:  # nobody is there any more
            return

    def read(self) -> None:
        """Take in what was said meanwhile."""
        try:
            while select.select([self], [], [], 0)[0]:
                self._raw += os.read(self._ours, 65536)
        except OSError:  # nobody is there any more
            return
        # a page may have a plain space where French has one that no line breaks at
        self.said = re.sub("[\u00a0\u202f]", " ", self._raw.decode(errors="replace").replace("\r\n", "\n"))

    def begin(self) -> None:
        """Look from now on only at what comes."""
        self._step = self._answered = len(self.said)

    @property
    def text(self) -> str:
        """What this step has shown."""
        return ESCAPES.sub("", PROMPT.sub("", self.said[self._step :])).replace("\r", "\n")  # a line written over

    def statuses(self) -> list[int]:
        """Return how the commands of this step ended."""
        return [int(status) for status in PROMPT.findall(self.said[self._step :])]

    def has_ended(self, commands: int) -> bool:
        """Whether so many commands of this step have."""
        return len(self.statuses()) >= commands

    def dialog(self) -> str | None:
        """Return what the dialog says that waits for an answer here, if one does."""
        said = self.said[self._answered :]
        if WHOLE in said:
            said = said.rpartition(WHOLE)[2]
            return None if LEFT in said else said
        return said if CHOICE.search(said) or said.rstrip(" ").endswith(tuple(ANSWERS)) else None

    def answer(self, dialog: str) -> None:
        """Type the PIN, or the password of the organisation's certificate, or say yes."""
        choice, buttons = CHOICE.search(dialog), BUTTON.findall(ESCAPES.sub("", dialog))
        self._answered = len(self.said)
        if typed := next((answer for prompt, answer in ANSWERS.items() if prompt in dialog), None):
            self.type(typed + "\r")
        elif choice:
            self.type(choice[1] + "\r")
        elif agreeing := [button for button in buttons if button in AGREEING]:
            self.type("\t" * buttons.index(agreeing[0]) + "\r")
        else:
            raise Failed(f"a dialog of another kind:\n{ESCAPES.sub(' ', dialog)}")


class Desk:
    """The terminals of the page, and the person in front of them."""

    def __init__(self, home: Path, folder: Path, locale: str) -> None:
        self._home = home
        self._locale = locale
        self._folder = folder  # that each terminal begins in
        self._open = ExitStack()
        self._terminals: dict[str, Terminal] = {}
        self.dialogs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def do(self, step: Step, deadline: float) -> None:
        """Type the step's commands one after the other. Raises Failed."""
        terminal = self._terminals.get(step.terminal)
        if terminal is None:
            terminal = self._open.enter_context(Terminal(self._home, self._folder, self._locale))
            self._terminals[step.terminal] = terminal
            self._wait(terminal, partial(terminal.has_ended, 2), deadline)  # its first prompt, and after stty
        terminal.begin()
        for number, command in enumerate(step.commands, 1):
            terminal.type(command)
            if step.stays and number == len(step.commands):
                break
            self._wait(terminal, partial(terminal.has_ended, number), deadline)
            if terminal.statuses()[-1]:
                raise Failed(f"{command.strip()} ended with {terminal.statuses()[-1]}:\n{terminal.text}")
        all_ended = partial(terminal.has_ended, len(step.commands))
        self._wait(terminal, lambda: all_ended() or not missing(step.shown, terminal.text), deadline)
        if lacking := missing(step.shown, terminal.text):
            raise Failed(f"“{lacking[0]}” did not come; the terminal shows:\n{terminal.text}")

    def _wait(self, terminal: Terminal, done: Callable[[], object], deadline: float) -> None:
        """Return once that is so; answer dialogs meanwhile."""
        while not done():
            if time.monotonic() > deadline:
                raise Failed(f"it takes too long; the terminal shows:\n{terminal.text}")
            for one in select.select(list(self._terminals.values()), [], [], 0.1)[0]:
                one.read()
            for one in self._terminals.values():
                if one.dialog():
                    self._answer(one)

    def _answer(self, terminal: Terminal) -> None:
        """Read the dialog, compare its digits with those that a program told, and answer."""
        time.sleep(READING)
        for one in self._terminals.values():
            one.read()
        dialog = terminal.dialog()
        if dialog is None:
            return
        told = {code for one in self._terminals.values() if one is not terminal for code in CODE.findall(one.text)}
        if not set(CODE.findall(ESCAPES.sub(" ", dialog))) <= told:
            raise Failed(f"digits that no program told:\n{dialog}")
        self.dialogs += 1
        terminal.answer(dialog)


def missing(shown: list[str], text: str) -> list[str]:
    """Return the lines that the page shows and the text has not; … is anything, and any six digits are a code."""
    return [line for line in shown if not re.search(_pattern(line.replace("\u202f", " ")), text, re.MULTILINE)]


def _pattern(line: str) -> str:
    parts = (CODE.sub(r"\\d{6}", re.escape(part)) for part in line.split("…"))
    return "^" + ".*".join(parts) + "$"


def run(home: Path, page: str, locale: str, *, installed: bool) -> float:
    """Do the whole page and return the seconds that it took. Raises Failed."""
    clone = CLONE.search(page)
    todo = steps(page)
    if clone:
        (home / ".gitconfig").write_text(f'[url "{ROOT}"]\n\tinsteadOf = {clone[1]}\n')
    if clone and installed:
        (home / "cardd").symlink_to(ROOT)
        todo[0] = Step("1", ["cd cardd\n"], stays=False, shown=[])
    begun = time.monotonic()
    with Desk(home, home if clone else ROOT, locale) as desk:
        for step in todo:
            started, asked = time.monotonic(), desk.dialogs
            desk.do(step, begun + LIMIT)
            took, asked = time.monotonic() - started, desk.dialogs - asked
            dialogs = f"  ({asked} dialogs)" if asked else ""
            say(f"{took:6.1f} s  terminal {step.terminal}: {step.commands[-1].splitlines()[0]}{dialogs}")
        return time.monotonic() - begun


def say(line: str) -> None:
    """Tell whoever waits, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Do it in a new home, and tell the time."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--installed", action="store_true", help="with this checkout and its .venv")
    parser.add_argument("--page", type=Path, default=PAGE, help="another page; what has no clone begins here")
    parser.add_argument("--keys", type=Path, help="what simulators keep, so that they need not make it anew")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="first-day-") as home:
        if given.keys:
            shutil.copytree(given.keys, Path(home, ".cache/cardd/simulation"))
        try:
            locale = "fr_FR.UTF-8" if given.page.parent.name == "fr" else "C.UTF-8"
            took = run(Path(home), given.page.read_text(encoding="utf-8"), locale, installed=given.installed)
        except Failed as failed:
            sys.stderr.write(f"the page does not hold: {failed}\n")
            return 1
    say(f"{took:6.1f} s  in all, with {LIMIT:.0f} at most")
    return int(took > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
