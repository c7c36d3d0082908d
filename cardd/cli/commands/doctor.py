"""``cardctl doctor``: what works and what does not on this workstation, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level, Result, examine
from cardd.cli.doctor.surroundings import Surroundings
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import pad, width
from cardd.i18n import N_, Domain
from cardd.model import shown

_ = Domain("cli")

LEVELS = {
    Level.OK: N_("ok"),
    Level.WARNING: N_("warning"),
    Level.FAILURE: N_("FAILURE"),
    Level.SKIPPED: N_("skipped"),
}
STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILURE: "red", Level.SKIPPED: "dim"}


def _arguments(parser: Parser) -> None:
    """Declare the checks; all of them when none is named."""
    parser.add_argument("checks", metavar=N_("CHECK"), nargs="*", help=N_("only these checks"))
    parser.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))


async def _doctor(context: Context) -> int:
    """Run the checks; the exit status tells of a failure, a warning is none."""
    asked: list[str] = context.arguments.checks
    unknown = [name for name in asked if name not in CHECKS]
    if unknown:
        from cardd.errors import InvalidRequest  # noqa: PLC0415 - only for this mistake

        raise InvalidRequest(where=unknown[0], why=", ".join(CHECKS))
    surroundings = Surroundings(context.arguments.config, _base(context), context.language)
    results = await examine(CHECKS, asked or list(CHECKS), surroundings)
    failures = sum(result.level is Level.FAILURE for result in results)
    told = {"checks": [_plain(result, context.language) for result in results], "failures": failures}
    context.answer(told, _lines(context, results))
    return Exit.FAILED if failures else Exit.OK


def _base(context: Context) -> Path | str | None:
    """Return the address that was given: without one, the configuration of ``--config`` says it."""
    return context.base if context.arguments.url or context.arguments.socket else None


def _plain(result: Result, language: str) -> dict[str, object]:
    return {
        "check": result.name,
        "level": result.level,
        "code": result.code,
        "sentence": result.sentence(language),
        "remedy": result.remedy(language),
        "params": result.params,
    }


def _lines(context: Context, results: list[Result]) -> list[str]:
    words = {level: _(LEVELS[level], context.language) for level in Level}
    marks = max(width(word) for word in words.values())
    titles = [result.title(context.language) for result in results]
    widest = max((width(title) for title in titles), default=0)
    lines = []
    for result, title in zip(results, titles, strict=True):
        mark = context.terminal.styled(pad(words[result.level], marks), STYLES[result.level])
        lines.append(f"{mark}  {pad(title, widest)}  {shown(result.sentence(context.language))}")
        if remedy := result.remedy(context.language):
            lines.append(f"{' ' * (marks + widest + 4)}→ {shown(remedy)}")
    return lines


COMMANDS = {"doctor": Command(_doctor, _arguments)}
