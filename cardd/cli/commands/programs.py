"""``cardctl programs``: other programs that the user let use the card through PKCS#11."""

from __future__ import annotations

from cardd.cli.command import Command, Context
from cardd.cli.parser import Exit, Parser
from cardd.cli.terminal import table
from cardd.cli.wording import word_for
from cardd.i18n import N_, Domain

_ = Domain("cli")

HEADS = (N_("PROGRAM"), N_("MAY"), N_("SINCE"), N_("UNTIL"), N_("USED"))
RIGHTS = {"tls": N_("log you in"), "data": N_("sign and decrypt data"), "sign": N_("ask for signatures")}


def _arguments(parser: Parser) -> None:
    """Declare the list, and what shuts a program out."""
    branch = parser.branches("action", required=False)
    branch("list", N_("list the programs that you let use the card"))
    revoke = branch("revoke", N_("shut a program out; its logins end at once, and it has to ask again"))
    revoke.add_argument("program", metavar=N_("FILE"), help=N_("the program's file, as the list has it"))


async def _programs(context: Context) -> int:
    """List the programs, or shut one out."""
    given, language = context.arguments, context.language
    async with context.client() as cardd:
        if given.action == "revoke":
            await cardd.revoke_program(given.program)
            context.answer({"revoked": given.program}, [_("Shut out.", language)])
            return Exit.OK
        programs = await cardd.programs()
    rows = [
        [
            one.path,
            ", ".join(word_for(right, RIGHTS, context) for right in one.rights),
            *(day.isoformat() for day in (one.since.date(), one.until.date(), one.used)),
        ]
        for one in programs
    ]
    heads = [_(head, language) for head in HEADS]
    context.answer({"programs": programs}, table(heads, rows) if rows else [_("No program.", language)])
    return Exit.OK


COMMANDS = {"programs": Command(_programs, _arguments)}
