"""``cardctl simulate``: a simulated card in a virtual reader, for tests and for makers of practice software."""

from __future__ import annotations

import asyncio
import signal

from cardd.cli.context import Context
from cardd.cli.exits import Exit
from cardd.cli.parser import Parser
from cardd.cli.simulators import every, named
from cardd.cli.terminal import pairs
from cardd.errors import InvalidRequest
from cardd.simulator import Simulator, SimulatorOptions

DEFAULTS = SimulatorOptions()


def arguments(parser: Parser) -> None:
    """Which card, and how it behaves."""
    host, port = DEFAULTS.reader
    words = parser.words
    parser.add_argument("card", metavar=words("simulate.metavar"), nargs="?", help=words("simulate.card"))
    parser.add_argument("--profile", metavar=words("name"), help=words("simulate.profile"))
    parser.add_argument("--pin", metavar="1234", default=DEFAULTS.pin, help=words("simulate.pin"))
    parser.add_argument("--delay-ms", metavar="N", type=int, default=DEFAULTS.delay_ms, help=words("simulate.delay"))
    parser.add_argument("--reader", metavar="HOST:PORT", default=f"{host}:{port}", help=words("simulate.reader"))
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help=words("simulate.set"))


async def run(context: Context) -> int:
    """Keep the card in the reader until interrupted; without a card, list what can be simulated."""
    asked = context.arguments
    if asked.card is None:
        _list(context, every())
        return Exit.OK
    simulator = named(asked.card)
    options = SimulatorOptions(
        profile=asked.profile,
        pin=asked.pin,
        delay_ms=asked.delay_ms,
        reader=_reader(asked.reader),
        language=context.language,
        settings=dict(_setting(given) for given in asked.set),
        json=context.wants_json,
    )
    await _until_told(simulator, options, context)
    return Exit.OK


async def _until_told(simulator: Simulator, options: SimulatorOptions, context: Context) -> None:
    """Run until SIGINT or SIGTERM: the card leaves its reader then."""
    write = context.terminal.say if options.json else context.terminal.tell
    card = asyncio.ensure_future(simulator.run(options, lambda sentence: write([sentence])))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, card.cancel)
    await asyncio.wait((card,))
    if not card.cancelled():
        await card


def _list(context: Context, simulators: dict[str, Simulator]) -> None:
    told = {
        name: {"summary": simulator.summary(context.language), "profiles": simulator.profiles}
        for name, simulator in simulators.items()
    }
    context.answer(told, pairs((name, _line(simulator, context.language)) for name, simulator in simulators.items()))


def _line(simulator: Simulator, language: str) -> str:
    profiles = f" ({', '.join(simulator.profiles)})" if simulator.profiles else ""
    return simulator.summary(language) + profiles


def _setting(given: str) -> tuple[str, str]:
    name, sign, value = given.partition("=")
    if not (name and sign):
        raise InvalidRequest(where="--set", why="NAME=VALUE")
    return name, value


def _reader(given: str) -> tuple[str, int]:
    host, _, port = given.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidRequest(where="--reader", why="HOST:PORT")
    return host.strip("[]"), int(port)
