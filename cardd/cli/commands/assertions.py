"""``cardctl vihf`` and ``insi``: assertions for the DMP and the INSi service, with the session of ``cardctl login``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.failures import Exit
from cardd.cli.parser import Parser
from cardd.cli.waiting import waiting
from cardd.client import Assertion, Lps, Session, Vihf
from cardd.errors import InvalidRequest

LPS = ("name", "homologation", "version", "installation")
REQUIRED = LPS[:2]
ACCESSES = ("normal", "bris_de_glace", "centre_15")
MEANS = ("card", "mobile", "password", "tls", "automate")
CODES = ("role", "section", "sector")


def _vihf_arguments(parser: Parser) -> None:
    """Declare the patient, why, and what neither card nor login tells."""
    _common_arguments(parser)
    parser.add_argument("--ins", metavar="INS", help=parser.words("vihf.ins"))
    parser.add_argument("--oid", metavar="OID", help=parser.words("vihf.oid"))
    parser.add_argument("--access", choices=ACCESSES, default=ACCESSES[0], help=parser.words("vihf.access"))
    parser.add_argument("--secret", action="store_true", help=parser.words("vihf.secret"))
    for name in CODES:
        parser.add_argument(f"--{name}", metavar="CODE", help=parser.words(f"vihf.{name}"))
    parser.add_argument("--means", choices=MEANS, help=parser.words("vihf.means"))


async def _vihf(context: Context) -> int:
    """Ask for an assertion for the DMP."""
    given = context.arguments
    for name, other in (("ins", given.oid), ("oid", given.ins)):
        if other and not getattr(given, name):
            raise InvalidRequest(where=f"--{name}", why="missing")
    patient = (given.ins, given.oid) if given.ins else None
    wanted = Vihf(patient, given.access, given.secret, given.role, given.section, given.sector, given.means)
    return await _issue(context, lambda session, lps: session.vihf(lps, wanted))


def _insi_arguments(parser: Parser) -> None:
    """Declare what the Assurance Maladie knows the professional by."""
    _common_arguments(parser)
    parser.add_argument("--billing", metavar="ID", required=True, help=parser.words("insi.billing"))
    parser.add_argument("--specialty", metavar="CODE", help=parser.words("insi.specialty"))


async def _insi(context: Context) -> int:
    """Ask for an assertion for the INSi service."""
    billing, specialty = context.arguments.billing, context.arguments.specialty
    return await _issue(context, lambda session, lps: session.insi(lps, billing, specialty))


def _common_arguments(parser: Parser) -> None:
    """Declare the registration, the situation of practice, and the file."""
    for name in LPS:
        wanted = name in REQUIRED
        parser.add_argument(
            f"--lps-{name}", metavar=name.upper(), required=wanted, help=parser.words(f"assertion.{name}")
        )
    parser.add_argument("--situation", metavar="ID", help=parser.words("assertion.situation"))
    parser.add_argument("--output", "-o", metavar="PATH", type=Path, help=parser.words("assertion.output"))


async def _issue(context: Context, ask: Callable[[Session, Lps], Awaitable[Assertion]]) -> int:
    """Have an assertion issued in our session's name, and write it to the file or to standard output."""
    given = context.arguments
    lps = Lps(*(getattr(given, f"lps_{name}") for name in LPS))
    async with context.client(context.remembered.secret) as cardd:
        session = cardd.session(*context.remembered.open_session())
        async with waiting(context, context.words("assertion.waiting"), cardd):
            if given.situation:
                await session.situate(given.situation)
            issued = await ask(session, lps)
    if given.output:
        _write(given.output, issued.assertion)
    lines = [str(given.output) if given.output else issued.assertion.decode()]
    context.answer(issued, lines)
    return Exit.OK


def _write(path: Path, content: bytes) -> None:
    """Write an assertion for its user's eyes only: it opens a record, and names whose."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)  # one that was there before may be open to others
        file.write(content)


COMMANDS = {"vihf": Command(_vihf, _vihf_arguments), "insi": Command(_insi, _insi_arguments)}
