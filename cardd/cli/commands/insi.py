"""``cardctl insi``: an assertion for the INSi service, with the session of ``cardctl login``."""

from __future__ import annotations

from cardd.cli.assertions import common_arguments, issue
from cardd.cli.context import Context
from cardd.cli.parser import Parser


def arguments(parser: Parser) -> None:
    """What the Assurance Maladie knows the professional by."""
    common_arguments(parser)
    parser.add_argument("--billing", metavar="ID", required=True, help=parser.words("insi.billing"))
    parser.add_argument("--specialty", metavar="CODE", help=parser.words("insi.specialty"))


async def run(context: Context) -> int:
    """Ask for it."""
    billing, specialty = context.arguments.billing, context.arguments.specialty
    return await issue(context, lambda session, lps: session.insi(lps, billing, specialty))
