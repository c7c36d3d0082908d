"""``cardctl doctor``: what works and what does not on this workstation, and what to do about it."""

from __future__ import annotations

from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level, Result
from cardd.cli.doctor.examining import LIMIT, PATIENT, cause, examine
from cardd.cli.doctor.fixing import mend
from cardd.cli.doctor.surroundings import Surroundings
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import pad, width
from cardd.i18n import N_, Domain
from cardd.model import shown

_ = Domain("cli")
_doctors = Domain("doctor")

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
    parser.add_argument("--fix", action="store_true", help=N_("put right what a command can, after a question"))
    parser.add_argument("--yes", action="store_true", help=N_("with --fix: ask nothing"))
    parser.add_argument("--strict", action="store_true", help=N_("a warning is a failure too, for the exit status"))


async def _doctor(context: Context) -> int:
    """Run the checks; the exit status tells of a failure, a warning is none unless ``--strict``."""
    given = context.arguments
    unknown = [name for name in given.checks if name not in CHECKS]
    if unknown:
        from cardd.errors import InvalidRequest  # noqa: PLC0415 - only for this mistake

        raise InvalidRequest(where=unknown[0], why=", ".join(CHECKS))
    names = given.checks or list(CHECKS)
    results = await _examined(context, names)
    mended = await mend(context, results, ask=not given.yes) if given.fix else []
    if any(one.is_done for one in mended):
        results = await _examined(context, names)
    failures, warnings = (sum(result.level is level for result in results) for level in (Level.FAILURE, Level.WARNING))
    first = cause(results)
    told = {
        "cause": first.code if first else None,
        "checks": [_plain(result, context.language) for result in results],
        "failures": failures,
        "warnings": warnings,
    }
    context.answer(told | ({"fixes": mended} if given.fix else {}), _lines(context, results))
    return Exit.FAILED if failures or (given.strict and warnings) else Exit.OK


async def _examined(context: Context, names: list[str]) -> list[Result]:
    surroundings = Surroundings(context.arguments.config, _base(context), context.language)
    left = dict.fromkeys(names)
    terminal = context.terminal

    def note(result: Result) -> None:
        left.pop(result.name, None)
        if terminal.is_watched:
            waits = next(iter(left), None)
            what = _doctors(CHECKS[waits].title, context.language) if waits else ""
            done = len(names) - len(left)
            terminal.pass_by(
                _("{done} of {count} checks; {what}…", context.language, done=done, count=len(names), what=what)
            )

    limit = LIMIT if len(names) == len(CHECKS) else PATIENT
    results = await examine(CHECKS, names, surroundings, limit, on_result=note)
    terminal.tell([])  # what was shown in passing goes
    return results


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
        "fix": result.finding.fix,
        "params": result.params,
    }


def _lines(context: Context, results: list[Result]) -> list[str]:
    """Return the most likely cause, then every check in the order of causes."""
    return [*_summary(context, results), *_table(context, results)]


def _summary(context: Context, results: list[Result]) -> list[str]:
    language, first = context.language, cause(results)
    if len(results) == 1:
        return []
    if first is None:
        return [_("Nothing is wrong, as far as can be seen.", language), ""]
    mark = context.terminal.styled(_(LEVELS[first.level], language), STYLES[first.level])
    title, sentence = first.title(language), shown(first.sentence(language))
    told = _(
        "{mark}  {title}: {sentence} [{code}]", language, mark=mark, title=title, sentence=sentence, code=first.code
    )
    return [told, f"→ {shown(first.remedy(language))}", ""]


def _table(context: Context, results: list[Result]) -> list[str]:
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
