"""``cardctl doctor --fix``: what one harmless command puts right, asked about first, and told after."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from cardd.cli.command import Context
from cardd.cli.doctor.check import Result
from cardd.cli.waiting import agreed, can_ask, said_by
from cardd.cli.wording import typed
from cardd.files import ROOT, leads_as_root_says
from cardd.i18n import Domain
from cardd.model import shown
from cardd.values import Value

_ = Domain("doctor")

LIMIT = 30.0  # seconds for one command


class Mended(Value):
    """What came of one fix: ``is_done`` when its command did well; ``why`` it did not."""

    code: str
    command: str
    is_done: bool
    why: str = ""


async def mend(context: Context, results: Sequence[Result], *, ask: bool) -> list[Mended]:
    """Run the fix of each result that has one, after a question; tell what was done. Nothing is run twice."""
    mended: dict[str, Mended] = {}
    for result in results:
        command = result.finding.fix
        told = " ".join(map(typed, command))
        if not command or told in mended:
            continue
        context.terminal.tell(_wider(result, context.language))
        if ask and not await _agreed(context, result, told):
            mended[told] = Mended(result.code, told, is_done=False, why="refused")
            continue
        why = _led_astray(command, context.language) or await _run(command)
        mended[told] = Mended(result.code, told, not why, why)
        done = (
            _("Failed: {command} ({why})", context.language, command=told, why=shown(why))
            if why
            else _("Done: {command}", context.language, command=told)
        )
        context.terminal.tell([done])
    return list(mended.values())


async def _agreed(context: Context, result: Result, command: str) -> bool:
    """Return whether the person at the terminal agrees; nobody does where there is no terminal."""
    language = context.language
    context.terminal.tell([shown(result.sentence(language))])
    if not can_ask(context):
        context.terminal.tell([_("Not done without --yes: {command}", language, command=command)])
        return False
    return await agreed(context, _("Do it: {command} (y/N) ", language, command=command))


def _wider(result: Result, language: str) -> list[str]:
    """Return what a command does beyond this user's own where root runs it."""
    as_root = result.finding.outcome.as_root
    return [_(as_root, language)] if as_root and os.geteuid() == 0 else []


def _led_astray(command: Sequence[str], language: str) -> str:
    """Return why root does not run it: a path in it is in a folder of somebody else's, who may make it a link."""
    paths = (Path(part) for part in command if part.startswith("/") and os.geteuid() == ROOT)
    if path := next((path for path in paths if not leads_as_root_says(path)), None):
        return _("others than root can change where {path} leads", language, path=str(path))
    return ""


async def _run(command: Sequence[str]) -> str:
    """Run a command without a shell; return why it failed, empty when it did not."""
    program = shutil.which(command[0]) or command[0]
    if command[0] == "cardctl":
        command = [sys.executable, "-P", "-m", "cardd.cli.cardctl", *command[1:]]
        program = command[0]
    try:
        running = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as fault:
        return fault.strerror or type(fault).__name__
    try:
        _out, told = await said_by(running, LIMIT)
    except TimeoutError:
        return f"{LIMIT:.0f} s"
    lines = told.decode(errors="replace").strip().splitlines()
    return "" if running.returncode == 0 else (lines[-1][:200] if lines else str(running.returncode))
