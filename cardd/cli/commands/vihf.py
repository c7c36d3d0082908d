"""``cardctl vihf``: an assertion for the DMP, with the session of ``cardctl login``."""

from __future__ import annotations

from cardd.cli.assertions import common_arguments, issue
from cardd.cli.context import Context
from cardd.cli.parser import Parser
from cardd.client import Vihf
from cardd.errors import InvalidRequest

ACCESSES = ("normal", "bris_de_glace", "centre_15")
MEANS = ("card", "mobile", "password", "tls", "automate")
CODES = ("role", "section", "sector")


def arguments(parser: Parser) -> None:
    """For which patient, why, and what neither card nor login tells."""
    common_arguments(parser)
    parser.add_argument("--ins", metavar="INS", help=parser.words("vihf.ins"))
    parser.add_argument("--oid", metavar="OID", help=parser.words("vihf.oid"))
    parser.add_argument("--access", choices=ACCESSES, default=ACCESSES[0], help=parser.words("vihf.access"))
    parser.add_argument("--secret", action="store_true", help=parser.words("vihf.secret"))
    for name in CODES:
        parser.add_argument(f"--{name}", metavar="CODE", help=parser.words(f"vihf.{name}"))
    parser.add_argument("--means", choices=MEANS, help=parser.words("vihf.means"))


async def run(context: Context) -> int:
    """Ask for it."""
    given = context.arguments
    for name, other in (("ins", given.oid), ("oid", given.ins)):
        if other and not getattr(given, name):
            raise InvalidRequest(where=f"--{name}", why="missing")
    patient = (given.ins, given.oid) if given.ins else None
    wanted = Vihf(patient, given.access, given.secret, given.role, given.section, given.sector, given.means)
    return await issue(context, lambda session, lps: session.vihf(lps, wanted))
