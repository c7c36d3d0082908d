"""``cardctl support``: the one-time codes that this workstation demands for what only support may do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from cardd.cli import support_code
from cardd.cli.context import Context
from cardd.cli.credential import NewCredential
from cardd.cli.exits import Exit
from cardd.cli.failures import tell
from cardd.cli.parser import Parser
from cardd.cli.qr import drawn
from cardd.cli.terminal import pairs
from cardd.client import CarddClient
from cardd.errors import SecretStoreUnavailable, SupportCodeRequired, SupportCodeWrong


def arguments(parser: Parser) -> None:
    """``enrol``, ``confirm``, ``status``, ``remove``."""
    branch = parser.branches("action")
    enrol = branch("enrol", parser.words("support.enrol"))
    enrol.add_argument("--credential", metavar="PATH", type=Path, help=parser.words("support.credential"))
    support_code.argument(enrol)
    support_code.argument(branch("confirm", parser.words("support.confirm")))
    branch("status", parser.words("support.status"))
    support_code.argument(branch("remove", parser.words("support.remove")))


async def run(context: Context) -> int:
    """Do what was asked."""
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
                await support_code.with_code(context, lambda code: cardd.remove_support(support_code=code))
                context.answer({"enrolled": False}, [context.words("support.removed")])
    return Exit.OK


async def _enrol(context: Context, cardd: CarddClient) -> None:
    try:
        begun = await support_code.with_code(context, lambda code: cardd.enrol_support(support_code=code))
    except SecretStoreUnavailable as error:
        error.params["remedy"] = context.words("support.no_keyring")
        raise
    if not support_code.can_ask(context):
        context.answer(begun, [begun.address, context.words("support.unconfirmed")])
        return
    _show(context, begun.address)
    await _until_right(context, lambda code: cardd.confirm_support(support_code=code))
    context.answer({"enrolled": True}, [context.words("support.enrolled")])


async def _enrol_by_credential(context: Context, path: Path) -> None:
    """Make a credential for the service's unit. Raises SupportCodeRequired where nobody can confirm it."""
    if not support_code.can_ask(context):
        raise SupportCodeRequired
    credential = NewCredential(path)
    await credential.encrypt()
    _show(context, credential.address)
    await _until_right(context, credential.confirm)
    line = credential.directive
    context.answer({"credential": str(path)}, [context.words("support.made", file=str(path), line=line)])


def _show(context: Context, address: str) -> None:
    """The QR code, and what it says for who cannot scan it: on the terminal only, which no file is made of."""
    encoding = context.terminal.err.encoding
    context.terminal.tell([context.words("support.scan"), *drawn(address, encoding), address])


async def _until_right(context: Context, check: Callable[[str], Awaitable[None]]) -> None:
    while True:
        code = await support_code.asked(context, context.words("support.first"))
        try:
            return await check(code)
        except SupportCodeWrong as error:
            tell(context, error)


async def _confirm(context: Context, cardd: CarddClient) -> None:
    given = context.arguments.support_code
    if not given:
        if not support_code.can_ask(context):
            raise SupportCodeRequired
        given = await support_code.asked(context, context.words("support.first"))
    await cardd.confirm_support(support_code=given)
    context.answer({"enrolled": True}, [context.words("support.enrolled")])


async def _status(context: Context, cardd: CarddClient) -> None:
    standing = await cardd.support()
    demanded = context.words("support.yes" if standing.demanded else "support.no")
    enrolled = context.words("support.yes" if standing.enrolled else "support.no")
    rows = [(context.words("support.demanded_here"), demanded), (context.words("support.enrolled_here"), enrolled)]
    if standing.locked:
        rows.append((context.words("support.locked"), context.words("support.seconds", seconds=standing.locked)))
    context.answer(standing, pairs(rows))
