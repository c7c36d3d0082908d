"""``cardctl logs``: the last lines of the service's log, or those of one request."""

from __future__ import annotations

from cardd.cli.command import Command, Context
from cardd.cli.log_lines import last
from cardd.cli.parser import Exit, Parser
from cardd.client.answers import LogLine
from cardd.i18n import N_, Domain
from cardd.model import shown

_ = Domain("cli")

FROM_DAEMON = N_("The journal is not readable here: these are the last lines that the service itself has kept.")
NONE = N_("No line.")
STYLES = {"error": "red", "warning": "yellow"}


def _arguments(parser: Parser) -> None:
    """Declare of which request, and how many."""
    parser.add_argument(
        "--request", metavar="ID", help=N_("of this request alone: the name in the answer's X-Request-ID")
    )
    parser.add_argument("-n", "--lines", metavar="N", type=int, default=50, help=N_("how many (50)"))


async def _logs(context: Context) -> int:
    """Show the lines, oldest first. Raises ReaderNotYours."""
    asked = context.arguments
    async with context.client() as cardd:
        source, lines = await last(cardd, max(1, asked.lines), asked.request)
    if source == "daemon" and not context.wants_json:
        context.terminal.tell([_(FROM_DAEMON, context.language)])
    shown_lines = [row for line in lines for row in _rows(context, line)]
    context.answer({"source": source, "lines": lines}, shown_lines or [_(NONE, context.language)])
    return Exit.OK


def _rows(context: Context, line: LogLine) -> list[str]:
    """Return the rows of a line, which is of several where something failed in the code."""
    first, *more = [shown(row) for row in line.message.split("\n")]
    at = line.at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    level = (
        context.terminal.styled(f"{line.level:<7}", STYLES[line.level]) if line.level in STYLES else f"{line.level:<7}"
    )
    request = f"  ({line.request})" if line.request else ""
    return [f"{at}  {level}  {first}{request}", *(f"    {row}" for row in more)]


COMMANDS = {"logs": Command(_logs, _arguments)}
