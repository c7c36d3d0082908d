"""``cardctl methods``: the ways to log in here, and which suits a use."""

from __future__ import annotations

from collections.abc import Iterator

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.client import Method, Methods

USES = ("lps", "webps", "establishment", "medico-social")


def arguments(parser: Parser) -> None:
    """The use, if any."""
    parser.add_argument("--use", choices=USES, help=parser.words("methods.use"))


async def run(context: Context) -> int:
    """Ask, and show each way with its reasons."""
    use = context.arguments.use
    async with context.client() as cardd:
        found = await cardd.methods(use)
    lines = [line for method in found.methods for line in _shown(context, method)]
    lines += [_advised(context, found)] if use else []
    context.answer({"methods": found.methods, "advised": found.advised}, lines)
    return Exit.OK


def _shown(context: Context, method: Method) -> Iterator[str]:
    name = context.words(f"status.{method.method}")
    fit = [context.words(f"methods.{method.advice.fit}")] if method.advice else []
    here = context.words("status.usable") if method.usable else context.words("methods.unusable")
    yield f"{name}{context.words('colon')} {', '.join([*fit, here])}"
    if method.advice:
        yield from (f"  + {reason}" for reason in method.advice.reasons)
    if not method.usable:
        yield f"  ! {method.detail} {method.remedy}"
    for lacking in method.advice.missing if method.advice else ():
        other = context.words(f"status.{lacking.method}")
        yield f"  ! {other}{context.words('colon')} {lacking.detail} {lacking.remedy}"


def _advised(context: Context, found: Methods) -> str:
    if found.advised is None:
        return context.words("methods.none")
    return context.words("methods.advised", method=context.words(f"status.{found.advised}"))
