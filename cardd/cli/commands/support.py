"""``cardctl clients`` and ``support``: what support looks after, and the one-time codes for that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cardd.cli.command import Command, Context
from cardd.cli.failures import tell
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.support_code import asked, code_argument, with_code
from cardd.cli.terminal import qr_code, table
from cardd.cli.waiting import can_ask
from cardd.cli.wording import word_for
from cardd.client import CarddClient
from cardd.client.answers import Client
from cardd.errors import SecretStoreUnavailable, SupportCodeRequired, SupportCodeWrong
from cardd.i18n import N_, Domain

_ = Domain("cli")

T = TypeVar("T")

CLIENT_ACTIONS = {
    "remove": N_("remove one; its sessions close"),
    "lock": N_("lock one: it stays paired but is kept out; its sessions close"),
    "unlock": N_("let it in again"),
}
CLIENT_HEADS = (N_("CLIENT"), N_("KIND"), N_("NAME"), N_("VENDOR"), N_("SINCE"), N_("STATE"))
CLIENT_KINDS = {"program": N_("program"), "origin": N_("site")}
DONE = {"removed": N_("Removed."), "locked": N_("Locked."), "unlocked": N_("Unlocked.")}
NO_KEYRING = N_(
    "The service has no keyring: make a credential of systemd by “sudo cardctl support enrol --credential "
    "/etc/cardd/support-totp.cred”, which says what else to do."
)
CREDENTIAL_MADE = N_(
    "{file} is made. Add this to the unit (“sudo systemctl edit cardd.service”), then restart the service (“sudo "
    "systemctl restart cardd”):\n\n"
    "[Service]\n{line}\n"
)
SCAN = N_(
    "Scan this with the authenticator app of the phone. What follows is secret and shown this once; who cannot scan "
    "copies “secret” from the address."
)
UNCONFIRMED = N_("Still to be confirmed: “cardctl support confirm --support-code CODE”.")


# --- clients


def _clients_arguments(parser: Parser) -> None:
    """Declare the list, and what can be done to one client."""
    branch = parser.branches("action", required=False)
    branch("list", N_("list them"))
    for action, meaning in CLIENT_ACTIONS.items():
        one = branch(action, meaning)
        one.add_argument("id", metavar="ID", help=N_("the program's identifier, or the site's origin"))
        if action != "lock":  # to keep a program out must be easy
            code_argument(one)


async def _clients(context: Context) -> int:
    """List the paired programs and remembered web origins of this user, or remove, lock or unlock one."""
    async with context.client(context.remembered.secret) as cardd:
        match context.arguments.action:
            case "remove" | "lock" | "unlock" as action:
                done = await _act(context, cardd, action, context.arguments.id)
                context.answer({done: context.arguments.id}, [_(DONE[done], context.language)])
            case _:
                _list(context, await cardd.clients())
    return Exit.OK


async def _act(context: Context, cardd: CarddClient, action: str, identifier: str) -> str:
    """Remove, lock or unlock a client; return the word for what was done."""
    match action:
        case "lock":
            await cardd.lock_client(identifier)
            return "locked"
        case "unlock":
            await with_code(context, lambda code: cardd.unlock_client(identifier, support_code=code))
            return "unlocked"
        case _:
            await with_code(context, lambda code: cardd.remove_client(identifier, support_code=code))
            return "removed"


def _list(context: Context, clients: Sequence[Client]) -> None:
    heads = [_(head, context.language) for head in CLIENT_HEADS]
    rows = [_row(context, client) for client in clients]
    context.answer({"clients": clients}, table(heads, rows) if rows else [_("No program, no site.", context.language)])


def _row(context: Context, client: Client) -> list[str]:
    kind, state = (
        word_for(client.kind, CLIENT_KINDS, context),
        _.context("program", "locked", context.language) if client.locked else "",
    )
    return [client.id, kind, client.name, client.vendor or "", client.since[:10], state]


# --- support


def _support_arguments(parser: Parser) -> None:
    """Declare ``enrol``, ``confirm``, ``status`` and ``remove``."""
    branch = parser.branches("action")
    enrol = branch("enrol", N_("enrol this workstation: shows a QR code for the phone of support"))
    enrol.add_argument(
        "--credential",
        metavar=PATH,
        type=Path,
        help=N_("make a credential of systemd in this file, for a service without a keyring"),
    )
    code_argument(enrol)
    code_argument(branch("confirm", N_("end an enrolment with the first code of the phone")))
    branch("status", N_("whether codes are demanded here, and whether the workstation is enrolled"))
    code_argument(branch("remove", N_("end the enrolment")))


async def _support(context: Context) -> int:
    """Enrol the workstation for support codes, confirm or end that, or tell how it stands."""
    if context.arguments.action == "enrol" and context.arguments.credential:
        await _enrol_by_credential(context, context.arguments.credential)
        return Exit.OK
    async with context.client() as cardd:
        match context.arguments.action:
            case "enrol":
                await _enrol(context, cardd)
            case "confirm":
                await _confirm(context, cardd)
            case "status":
                await _status(context, cardd)
            case _:
                await with_code(context, lambda code: cardd.remove_support(support_code=code))
                context.answer({"enrolled": False}, [_("This workstation is not enrolled any more.", context.language)])
    return Exit.OK


async def _enrol(context: Context, cardd: CarddClient) -> None:
    try:
        begun = await with_code(context, lambda code: cardd.enrol_support(support_code=code))
    except SecretStoreUnavailable as error:
        error.params["remedy"] = _(NO_KEYRING, context.language)
        raise
    if not can_ask(context):
        context.answer(begun, [begun.address, _(UNCONFIRMED, context.language)])
        return
    _show(context, begun.address)
    await _until_right(context, lambda code: cardd.confirm_support(support_code=code))
    context.answer({"enrolled": True}, [_("This workstation is enrolled.", context.language)])


async def _enrol_by_credential(context: Context, path: Path) -> None:
    """Make a credential for the service's unit. Raises SupportCodeRequired where nobody can confirm it."""
    if not can_ask(context):
        raise SupportCodeRequired
    from cardd.cli.credential import NewCredential  # noqa: PLC0415 - for one enrolment in a workstation's life

    credential = NewCredential(path)
    await credential.encrypt()
    _show(context, credential.address)
    await _until_right(context, credential.confirm)
    told = _(CREDENTIAL_MADE, context.language, file=str(path), line=credential.directive)
    context.answer({"credential": str(path)}, told.split("\n"))


def _show(context: Context, address: str) -> None:
    """Show the QR code and its content for who cannot scan it, on the terminal only: no file is made of it."""
    encoding = context.terminal.err.encoding
    context.terminal.tell([_(SCAN, context.language), *qr_code(address, encoding), address])


async def _until_right(context: Context, check: Callable[[str], Awaitable[None]]) -> None:
    while True:
        code = await asked(context, _("First code that the phone shows: ", context.language))
        try:
            return await check(code)
        except SupportCodeWrong as error:
            tell(context, error)


async def _confirm(context: Context, cardd: CarddClient) -> None:
    given = context.arguments.support_code
    if not given:
        if not can_ask(context):
            raise SupportCodeRequired
        given = await asked(context, _("First code that the phone shows: ", context.language))
    await cardd.confirm_support(support_code=given)
    context.answer({"enrolled": True}, [_("This workstation is enrolled.", context.language)])


async def _status(context: Context, cardd: CarddClient) -> None:
    standing = await cardd.support()
    demanded = _yes_or_no(context, standing.demanded)
    enrolled = _yes_or_no(context, standing.enrolled)
    rows = [(_("Codes demanded", context.language), demanded), (_("Enrolled", context.language), enrolled)]
    if standing.locked:
        rows.append((_("Locked", context.language), _("{seconds} s more", context.language, seconds=standing.locked)))
    context.answer(standing, context.terminal.pairs(rows))


def _yes_or_no(context: Context, value: bool) -> str:
    return _("yes", context.language) if value else _("no", context.language)


# --- one-time codes


COMMANDS = {
    "clients": Command(_clients, _clients_arguments),
    "support": Command(_support, _support_arguments),
}
