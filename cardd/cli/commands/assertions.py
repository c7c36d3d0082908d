"""``cardctl vihf`` and ``insi``: assertions for the DMP and the INSi service, with the session of ``cardctl login``."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.waiting import waiting
from cardd.client import Assertion, Lps, Session, Vihf
from cardd.errors import InvalidRequest
from cardd.i18n import N_, Domain

_ = Domain("cli")

LPS = {
    "name": N_("the practice software's name, as registered for the DMP"),
    "homologation": N_("its homologation number (LPS_ID_HOMOLOGATION_DMP)"),
    "version": N_("its version"),
    "installation": N_("its installation (LPS_ID)"),
}
HIDDEN = N_("a secret connection, which the patient's legal representatives do not see")
REQUIRED = ("name", "homologation")
ACCESSES = ("normal", "bris_de_glace", "centre_15")
MEANS = ("card", "mobile", "password", "tls", "automate")
CODES = {
    "role": N_("for a person without profession: a code of A00, R94 or R95, or G16_ and a profession"),
    "section": N_("a pharmacist's section (G05) that the login does not tell"),
    "sector": N_("with the organisation's certificate, the sector of activity (SAxx)"),
}


def _vihf_arguments(parser: Parser) -> None:
    """Declare the patient, why, and what neither card nor login tells."""
    _common_arguments(parser)
    parser.add_argument("--ins", metavar="INS", help=N_("the patient's INS, key included (15 characters)"))
    parser.add_argument("--oid", metavar="OID", help=N_("the OID that tells what number it is"))
    parser.add_argument("--access", choices=ACCESSES, default=ACCESSES[0], help=N_("why the record is opened"))
    parser.add_argument("--secret", action="store_true", help=HIDDEN)
    for name, meaning in CODES.items():
        parser.add_argument(f"--{name}", metavar="CODE", help=meaning)
    parser.add_argument(
        "--means", choices=MEANS, help=N_("with the organisation's certificate, how the person logged in")
    )
    parser.gives |= {"patient": "ins", "patient.ins": "ins", "patient.oid": "oid"}


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
    parser.add_argument(
        "--billing",
        metavar="ID",
        required=True,
        help=N_("the professional's billing identifier (identifiantFacturation)"),
    )
    parser.add_argument("--specialty", metavar="CODE", help=N_("a doctor's speciality, the Assurance Maladie's code"))


async def _insi(context: Context) -> int:
    """Ask for an assertion for the INSi service."""
    billing, specialty = context.arguments.billing, context.arguments.specialty
    return await _issue(context, lambda session, lps: session.insi(lps, billing, specialty))


def _common_arguments(parser: Parser) -> None:
    """Declare the registration, the situation of practice, and the file."""
    for name, meaning in LPS.items():
        parser.add_argument(f"--lps-{name}", metavar=name.upper(), required=name in REQUIRED, help=meaning)
    parser.add_argument(
        "--situation",
        metavar="ID",
        help=N_("the situation of practice to act in from now on, where the card tells several (1)"),
    )
    parser.add_argument(
        "--output",
        "-o",
        metavar=PATH,
        type=Path,
        help=N_("the file that the XML goes to, for your eyes only; the terminal by default"),
    )
    parser.gives = {"id": "situation"}  # of the request that picks it


async def _issue(context: Context, ask: Callable[[Session, Lps], Awaitable[Assertion]]) -> int:
    """Have an assertion issued in our session's name, and write it to the file or to standard output."""
    given = context.arguments
    lps = Lps(*(getattr(given, f"lps_{name}") for name in LPS))
    async with context.client(context.remembered.secret) as cardd:
        session = cardd.session(*context.remembered.open_session())
        async with waiting(
            context, _("Agree to assertions in the window that opens, once in a session.", context.language), cardd
        ):
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
