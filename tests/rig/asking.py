"""A program that asks as the daemon does: ``python -m tests.rig.asking pin|confirm|remember|notice [OPTIONS]``.

It prints the answer: of a PIN its length and SHA-256, of a question the choice, else the error's code.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import signal
import sys

from cardd.agent.dialogs import Dialogs
from cardd.errors import CarddError
from cardd.model import Choice, PinInfo, PinQuestion, Question, ShownDocument
from cardd.secret import Secret
from tests.rig.terminal import Terminal

PIN = PinInfo(reference=1, label="Code porteur", minimum=4, maximum=8, tries=3)
CANCELLED = "cancelled"
BEHIND = '"$@" & wait'  # what a shell does with the program: started in the background, or sent there after Control-Z
SENT_BEHIND = '"$@"; bg >/dev/null; wait; jobs'


def asking(
    kind: str,
    language: str = "fr",
    *,
    pinentry: str = "",
    timeout: int = 60,
    controlling: bool = True,
    job: str = "",
    wrong_before: bool = False,
    armed_after: float = 0,
    locale: str = "C.UTF-8",
) -> Terminal:
    """Start the program on a terminal of this locale, or as a shell's ``job``; without ``pinentry`` it finds none."""
    command = [sys.executable, "-m", "tests.rig.asking", kind, "--language", language, "--timeout", str(timeout)]
    command += ["--pinentry", pinentry] if pinentry else []
    command += ["--wrong-before"] if wrong_before else []
    command += ["--armed-after", str(armed_after)]
    if job:
        command = ["/bin/sh", "-mc", job, "sh", *command]
    around = {"PATH": os.environ["PATH"] if pinentry else "/nowhere", "LC_ALL": locale}
    return Terminal(command, around, controlling=controlling)


def pin_answer(pin: bytes) -> str:
    """What the program prints of this PIN."""
    return f"{len(pin)} {hashlib.sha256(pin).hexdigest()}"


async def ask(kind: str, language: str, dialogs: Dialogs, *, wrong_before: bool) -> str:
    """Ask; what is to be printed."""
    who: dict[str, str | int] = {"client": "Cabinet Zoé & associés"}
    signing = {**who, "document": "Compte rendu opératoire.pdf", "digest": "0123456789abcdef", "reader": "Lecteur №1"}
    documents = (ShownDocument("Compte rendu opératoire.pdf", "pades", None),)
    try:
        if kind == "pin":
            question = Question("login", os.getuid(), who, language)
            with Secret() as pin:
                await dialogs.ask_pin(
                    PinQuestion(question, PIN, "Lecteur №1", "cps3", 2, "wrong" if wrong_before else None), pin
                )
                with pin.view() as typed:
                    return pin_answer(bytes(typed))
        if kind == "notice":
            await dialogs.notify(Question("sign", os.getuid(), signing, language, documents=documents))
            return "closed"
        third = Choice.ALWAYS if kind == "remember" else None
        return await dialogs.confirm(Question("sign", os.getuid(), signing, language, third=third, documents=documents))
    except CarddError as error:
        return error.code


async def main() -> None:
    """Ask until answered; SIGTERM and SIGINT cancel the question, as in the daemon; it outlives its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("pin", "confirm", "remember", "notice"))
    parser.add_argument("--language")
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--pinentry")
    parser.add_argument("--wrong-before", action="store_true")
    parser.add_argument("--armed-after", type=float)
    told = parser.parse_args()
    dialogs = Dialogs(program=told.pinentry, timeout=told.timeout, armed_after=told.armed_after)
    answer = asyncio.ensure_future(ask(told.kind, told.language, dialogs, wrong_before=told.wrong_before))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, answer.cancel)
    try:
        print(await answer)
    except asyncio.CancelledError:
        print(CANCELLED)


if __name__ == "__main__":
    asyncio.run(main())
