"""``cardd run``: the daemon, in the foreground."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cardd.cli.parser import PATH, Exit, Parser, wanted_language
from cardd.config import Config
from cardd.config.loading import load
from cardd.errors import CarddError
from cardd.i18n import N_
from cardd.ports import ReaderSource
from cardd.system import journal

AUTHORITIES = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where OpenSSL looks, before its own places

Load = Callable[[], Config]
Serve = Callable[[Config, Load, Sequence[ReaderSource] | None, Sequence[bytes]], Coroutine[None, None, None]]


async def serve(
    config: Config, load: Load, sources: Sequence[ReaderSource] | None, authorities: Sequence[bytes]
) -> None:
    """Be the daemon, until it is told to end; ``load`` reads the configuration anew."""
    with _no_authorities(), _no_collections():
        from cardd.daemon import run  # noqa: PLC0415 - a configuration error is told before all is loaded

    await run(config, load, sources, authorities)


@contextmanager
def _no_authorities() -> Iterator[None]:
    """Have OpenSSL find none of the machine's authorities meanwhile.

    aiohttp reads them all when it is imported, for a context that nobody here uses (``cardd.http``): 2.5 MB of memory
    that stays, and 30 to 90 ms of the start.
    """
    before = {name: os.environ.get(name) for name in AUTHORITIES}
    os.environ.update(dict.fromkeys(AUTHORITIES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_collections() -> Iterator[None]:
    """Look for no garbage meanwhile, and afterwards not in what was loaded: all of it stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def main(arguments: list[str] | None = None, serve: Serve = serve) -> int:
    """The command's entry point; gives the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    language = wanted_language(given)
    asked = command_line(language).parse_args(given)
    logging.basicConfig(level=logging.INFO, handlers=[journal.handler()])
    try:
        reading = partial(load, asked.config)
        config = reading()
        simulation = _simulated(asked.simulate, asked.variants, language) if asked.simulate else (None, ())
        asyncio.run(serve(config, reading, *simulation))
    except CarddError as error:
        from cardd.cli.failures import sentences  # noqa: PLC0415 - most runs end well

        print("\n".join(sentences(error, language)), file=sys.stderr)
        return Exit.FAILED
    return Exit.OK


def command_line(language: str) -> Parser:
    """Return the grammar of the command line."""
    parser = Parser(language=language, prog="cardd")
    parser.description = N_("The local service that owns a health professional's cards, PIN and sessions.")
    run = parser.branches("command")("run", N_("run the service in the foreground"))
    run.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))
    run.add_argument(
        "--simulate",
        metavar="CARD[:PROFILE]",
        help=N_("a simulated card in the service's own process, in place of PC/SC"),
    )
    run.add_argument(
        "--variant",
        metavar=N_("NAME"),
        dest="variants",
        action="append",
        default=[],
        help=N_("how that card differs from the usual one; may be repeated (“cardctl simulate --help” lists them)"),
    )
    return parser


def _simulated(wanted: str, variants: Sequence[str], language: str) -> tuple[list[ReaderSource], list[bytes]]:
    """The card in a reader, and the authorities behind it, which no other daemon trusts."""
    from cardd.cli.simulators import card_named  # noqa: PLC0415 - only where it is asked for
    from cardd.simulator import CardOptions  # noqa: PLC0415

    name, _, profile = wanted.partition(":")
    options = CardOptions(profile=profile or None, variants=tuple(variants), language=language)
    simulator = card_named(name)
    return [simulator.in_process(options)], simulator.authorities(options)


if __name__ == "__main__":
    sys.exit(main())
