"""``cardctl simulate``: a card in a virtual reader, or a server, for tests and for makers of practice software."""

from __future__ import annotations

from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.simulators import Variants, card_named, every
from cardd.cli.waiting import until_told
from cardd.errors import InvalidRequest
from cardd.i18n import N_
from cardd.simulator import CardOptions, CardSimulator, ServerOptions, ServerSimulator

DEFAULTS = CardOptions()
REPLAY = "replay"  # the simulated card that plays a recording


def _arguments(parser: Parser) -> None:
    """Declare the card or the server, and how it behaves."""
    parser.add_argument(
        "card", metavar=N_("CARD"), nargs="?", help=N_("which card; without one, the list of those that there are")
    )
    parser.add_argument(
        "order",
        metavar=N_("ORDER"),
        nargs="?",
        help=N_("for a server that runs: approve, deny or ignore the newest request (psc)"),
    )
    parser.add_argument(
        "what", metavar=N_("REQUEST"), nargs="?", help=N_("the request's number, in place of the newest")
    )
    _card_arguments(parser)
    _server_arguments(parser)


def _card_arguments(parser: Parser) -> None:
    host, port = DEFAULTS.reader
    parser.add_argument("--profile", metavar=N_("NAME"), help=N_("who the holder is"))
    parser.add_argument(
        "--replay",
        metavar=PATH,
        type=Path,
        help=N_("a card that answers as in this recording of “cardctl trace --record”"),
    )
    parser.add_argument("--pin", metavar="1234", default=DEFAULTS.pin, help=N_("the simulated card's PIN"))
    parser.add_argument(
        "--puk", metavar="12345678", default=DEFAULTS.puk, help=N_("its unblocking code (PUK); 12345678 by default")
    )
    parser.add_argument(
        "--variant",
        metavar=N_("NAME"),
        dest="variants",
        action=Variants,
        language=parser.language,
        help=N_("a card that differs so from the one that is known best; may be repeated:"),
    )
    parser.add_argument(
        "--delay-ms",
        metavar="N",
        type=int,
        default=DEFAULTS.delay_ms,
        help=N_("how long a signature takes, in milliseconds"),
    )
    parser.add_argument(
        "--reader",
        metavar="HOST:PORT",
        default=f"{host}:{port}",
        help=N_("where the virtual reader (vpcd) waits for its card"),
    )


def _server_arguments(parser: Parser) -> None:
    servers = parser.add_argument_group(N_("servers"))
    servers.add_argument("--port", metavar="N", type=int, default=0, help=N_("the port on 127.0.0.1"))
    servers.add_argument("--auto", metavar=N_("ORDER"), help=N_("answer every request so: approve, deny or ignore"))
    servers.add_argument(
        "--people", metavar=PATH, type=Path, help=N_("a file of fictitious people, in place of those built in")
    )
    servers.add_argument("--table", metavar=PATH, type=Path, help=N_("the table of who may do what"))
    servers.add_argument("--state", metavar=PATH, type=Path, help=N_("where its keys are kept"))
    servers.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help=N_("a choice that only this server knows; may be repeated"),
    )


async def _simulate(context: Context) -> int:
    """Keep the card in the reader until interrupted; without a card, list what can be simulated."""
    asked = context.arguments
    cards, servers = every()
    if asked.replay:
        if asked.card not in (None, REPLAY):
            raise InvalidRequest(where=asked.card, why="expected", expected=REPLAY)
        asked.card, asked.profile = REPLAY, str(asked.replay)
    if asked.card is None:
        _list(context, cards, servers)
        return Exit.OK
    if server := servers.get(asked.card):
        return await _server(server, context)
    if asked.order is not None:
        raise InvalidRequest(where=asked.order, why="unknown")
    simulator = card_named(asked.card)
    options = CardOptions(
        profile=asked.profile,
        variants=asked.variants,
        pin=asked.pin,
        puk=asked.puk,
        delay_ms=asked.delay_ms,
        reader=_reader(asked.reader),
        language=context.language,
    )
    await until_told(simulator.run(options, lambda sentence: context.terminal.tell(sentence.split("\n"))))
    return Exit.OK


async def _server(server: ServerSimulator, context: Context) -> int:
    """Run the server until interrupted, or have the one that runs do something."""
    asked = context.arguments
    options = ServerOptions(
        port=asked.port,
        state=asked.state,
        auto=asked.auto,
        people=asked.people,
        table=asked.table,
        language=context.language,
        settings=dict(_setting(given) for given in asked.set),
        json=context.wants_json,
    )
    if asked.order is None:
        write = context.terminal.say if options.json else context.terminal.tell
        await until_told(server.run(options, lambda sentence: write(sentence.split("\n"))))
        return Exit.OK
    if asked.order not in server.orders:
        raise InvalidRequest(where=asked.order, why="expected", expected=", ".join(server.orders))
    told = await server.tell(options, asked.order, asked.what)
    context.answer({"done": asked.order, "told": told}, [told])
    return Exit.OK


def _list(context: Context, simulators: dict[str, CardSimulator], servers: dict[str, ServerSimulator]) -> None:
    language = context.language
    told = {
        name: {"summary": one.summary(language), "profiles": one.profiles, "variants": one.variants}
        for name, one in simulators.items()
    }
    told |= {name: {"summary": one.summary(language), "profiles": (), "variants": ()} for name, one in servers.items()}
    lines = [(name, _line(one, language)) for name, one in simulators.items()]
    lines += [(name, one.summary(language)) for name, one in servers.items()]
    context.answer(told, context.terminal.pairs(lines))


def _line(simulator: CardSimulator, language: str) -> str:
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


COMMANDS = {"simulate": Command(_simulate, _arguments)}
